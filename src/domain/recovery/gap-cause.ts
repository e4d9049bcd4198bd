import type { RepositoryName } from '../catalog/base-backup.ts';
import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import { rangeContaining, type WalArchive } from '../catalog/wal-archive.ts';
import { historyOf, rootHistory } from '../postgres/timeline-history.ts';
import { type WalPathPiece, walPath } from './timeline-path.ts';
import type { WalGap } from './window.ts';

/** Why WAL is missing in one repository, as far as all of them tell. */
export type GapCause =
  /** Others have all of it: it was archived, and did not get here or was lost here. */
  | { readonly kind: 'elsewhere'; readonly repositories: readonly RepositoryName[] }
  /** It was the end of a timeline: a standby was promoted before the last of it had been archived. */
  | { readonly kind: 'before fork' }
  /** No repository has it whole: never archived, or lost in all of them. */
  | { readonly kind: 'nowhere' };

/** How many segments replay lacks there, and why. `others`: the other repositories of the cluster. Pure. */
export function explainGap(
  gap: WalGap,
  archive: WalArchive,
  others: readonly RepositorySnapshot[],
): { readonly segments: number; readonly cause: GapCause } {
  const history = historyOf(gap.timeline, archive.histories) ?? rootHistory(gap.timeline);
  const missing = walPath(history, gap.fromLsn, gap.toLsn, archive.segmentSizeBytes);
  const segments = Number(missing.reduce((sum, { firstSegment, lastSegment }) => sum + (lastSegment - firstSegment + 1n), 0n));
  return { segments, cause: causeOf(gap, missing, others) };
}

function causeOf({ repository, resumesAt }: WalGap, missing: readonly WalPathPiece[], others: readonly RepositorySnapshot[]): GapCause {
  const repositories = others.filter((other) => other.repository !== repository && hasAll(other, missing)).map((one) => one.repository);
  if (repositories.length > 0) return { kind: 'elsewhere', repositories };
  const resumesOn = Number.parseInt(resumesAt.slice(0, 8), 16);
  return { kind: missing.some(({ timeline }) => timeline !== resumesOn) ? 'before fork' : 'nowhere' };
}

function hasAll({ walArchive }: RepositorySnapshot, missing: readonly WalPathPiece[]): boolean {
  return missing.every(({ timeline, firstSegment, lastSegment }) => {
    const range = walArchive === undefined ? undefined : rangeContaining(walArchive, timeline, firstSegment);
    return range !== undefined && range.lastSegment >= lastSegment;
  });
}
