import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import type { SystemIdentifier } from '../postgres/system-identifier.ts';
import type { TimelineId } from '../postgres/timeline.ts';

/** Whom a standby follows. */
interface Followed {
  readonly systemIdentifier: SystemIdentifier;
  readonly timeline: TimelineId;
}

/** The repositories that a standby may get WAL from: of its cluster, and with no timeline that would lead it away from its primary. */
export function archivesToFollow(
  snapshots: readonly RepositorySnapshot[],
  { systemIdentifier, timeline }: Followed,
): readonly RepositorySnapshot[] {
  return snapshots.filter((one) => one.systemIdentifier === systemIdentifier && strayTimeline(one, timeline) === undefined);
}

/**
 * A timeline in the archive that is newer than the primary's: some server was promoted beside it. A standby looks for the newest there
 * (recovery_target_timeline = latest), and would leave its primary for it. Undefined where there is none.
 */
export function strayTimeline({ walArchive }: RepositorySnapshot, ofPrimary: TimelineId): TimelineId | undefined {
  const found = [...(walArchive?.histories ?? []), ...(walArchive?.ranges ?? [])].map(({ timeline }) => timeline);
  return found.find((timeline) => timeline > ofPrimary);
}
