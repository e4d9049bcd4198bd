import type { BackupLabel, BaseBackup } from '../catalog/base-backup.ts';
import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import { isAncestorAt, rootHistory, historyOf, timelineAt, type TimelineHistory } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { addMicros, type Instant } from '../time/instant.ts';

const ONE_SECOND_MICROS = 1_000_000n;

/**
 * The first instant to which a backup can be recovered for certain: one second after its noted stop.
 * PostgreSQL dies where the target comes before the end of the backup ("requested recovery stop point is before consistent
 * recovery point"). The stop is noted in whole seconds, cut off: a stop of 14:05:00 may have happened at 14:05:00.999999,
 * so a target of 14:05:00.5 may lie before it, and 14:05:01 cannot. pgBackRest's own rule, "stop strictly before the target"
 * at whole seconds, comes to the same.
 */
export function earliestTargetTime(backup: BaseBackup): Instant {
  return addMicros(backup.stopTime, ONE_SECOND_MICROS);
}

/** The backups that this one is made of and that the repository no longer has. */
export function missingReferences(backup: BaseBackup, present: readonly BaseBackup[]): readonly BackupLabel[] {
  const needed = backup.prior === undefined ? backup.references : [...backup.references, backup.prior];
  if (needed.length === 0) return [];
  const labels = labelsOf(present);
  return [...new Set(needed)].filter((label) => !labels.has(label));
}

/** By the list of a snapshot, which never changes: it is asked once for each of its backups. */
const knownLabels = new WeakMap<readonly BaseBackup[], ReadonlySet<BackupLabel>>();

function labelsOf(backups: readonly BaseBackup[]): ReadonlySet<BackupLabel> {
  const labels = knownLabels.get(backups) ?? new Set(backups.map(({ label }) => label));
  knownLabels.set(backups, labels);
  return labels;
}

/** False for a backup of an earlier generation of the cluster (before an upgrade): the archive that was listed is not its own. */
export function isOfListedGeneration(backup: BaseBackup, snapshot: RepositorySnapshot): boolean {
  return snapshot.systemIdentifier === undefined || snapshot.systemIdentifier === backup.systemIdentifier;
}

/** True where the whole backup, from its start to its stop, was taken on the way of this history. */
export function isOnPath(backup: BaseBackup, history: TimelineHistory): boolean {
  return timelineAt(history, backup.startLsn) === backup.timeline && isAncestorAt(history, backup.timeline, backup.stopLsn);
}

/**
 * The history that a backup's recovery along `timeline` would follow. Where the history file is missing PostgreSQL takes the
 * timeline to have no parents, which serves a backup taken on that very timeline and no other.
 */
export function historyForBackup(
  backup: BaseBackup,
  timeline: TimelineId,
  histories: readonly TimelineHistory[],
): TimelineHistory | undefined {
  return historyOf(timeline, histories) ?? (backup.timeline === timeline ? rootHistory(timeline) : undefined);
}

/** Every timeline of which a repository knows anything, newest first. */
export function knownTimelines(snapshot: RepositorySnapshot): readonly TimelineId[] {
  const archive = snapshot.walArchive;
  const backups = snapshot.backups.filter((backup) => isOfListedGeneration(backup, snapshot));
  const all = [...backups, ...(archive?.ranges ?? []), ...(archive?.histories ?? [])].map((one) => one.timeline);
  return [...new Set(all)].sort((left, right) => right - left);
}
