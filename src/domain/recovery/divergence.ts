import type { BaseBackup } from '../catalog/base-backup.ts';
import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import type { Lsn } from '../postgres/lsn.ts';
import { historyOf, type TimelineFork, type TimelineHistory, timelineSpans } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { segmentNumberBefore, segmentNumberOf } from '../postgres/wal-segment.ts';
import { endOfSecond, type Instant, parsePostgresTimestamp } from '../time/instant.ts';
import type { Assessment, Reach } from './assess-backup.ts';
import type { RestoreChoiceRequest } from './restore-choice.ts';
import { type ContiguousWal, contiguousWalFrom } from './timeline-path.ts';
import { isOnPath, knownTimelines } from './usable-backup.ts';

/** Two histories that both have a state for the same target. */
export interface Divergence {
  readonly followed: TimelineId;
  readonly other: TimelineId;
  /** Where they part. */
  readonly lsn: Lsn;
  /** When the other's last segment was archived. */
  readonly otherUntil: Instant | undefined;
}

type Serving = Assessment & { readonly reach: Reach };

/**
 * Whether `latest` leaves open which of two histories the target means. After a recovery to 10:00 that was made at 12:00 the
 * newest timeline has nothing between 10:00 and 12:00, and the abandoned one has: "11:30" on the newest would silently be
 * 10:00. Undefined where the target surely lies before the fork, where the other history does not reach it, or where a
 * backup taken after the fork vouches for the newest one.
 */
export function divergenceBefore(serving: readonly Serving[], request: RestoreChoiceRequest): Divergence | undefined {
  const isPlaced = request.target.kind === 'time' || request.target.kind === 'lsn';
  if (request.timeline !== 'latest' || !isPlaced) return undefined;
  const seen = new Map(serving.map((one) => [one.snapshot, one.reach.history]));
  for (const [snapshot, followed] of seen) {
    const backups = [...seen.keys()].filter((one) => one.systemIdentifier === snapshot.systemIdentifier).flatMap((one) => one.backups);
    for (const timeline of knownTimelines(snapshot)) {
      const other = historyOf(timeline, snapshot.walArchive?.histories ?? []);
      const divergence = other === undefined ? undefined : divergenceOf(snapshot, backups, [followed, other], request);
      if (divergence !== undefined && !serving.some((one) => one.backup.startLsn >= divergence.lsn)) return divergence;
    }
  }
  return undefined;
}

/** The position where two histories part; undefined where they are the same. */
export function partingLsn(left: TimelineHistory, right: TimelineHistory): Lsn | undefined {
  const rightSpans = timelineSpans(right);
  for (const [index, span] of timelineSpans(left).entries()) {
    const other = rightSpans[index];
    if (other?.timeline !== span.timeline) return span.beginLsn;
    if (other.endLsn === span.endLsn) continue;
    if (other.endLsn === undefined) return span.endLsn;
    return span.endLsn !== undefined && span.endLsn < other.endLsn ? span.endLsn : other.endLsn;
  }
  return undefined;
}

/** `backups`: of every repository, since an instant lies before a fork in all of them or in none. */
function divergenceOf(
  snapshot: RepositorySnapshot,
  backups: readonly BaseBackup[],
  [followed, other]: readonly [TimelineHistory, TimelineHistory],
  request: RestoreChoiceRequest,
): Divergence | undefined {
  const lsn = partingLsn(followed, other);
  if (lsn === undefined || isBeforeFork(lsn, backups, [followed, other], request)) return undefined;
  const wal = furthestWal(snapshot, other);
  if (wal === undefined || !reachesTarget(wal, lsn, snapshot, request)) return undefined;
  return { followed: followed.timeline, other: other.timeline, lsn, otherUntil: wal.lastArchivedAt };
}

function furthestWal(snapshot: RepositorySnapshot, history: TimelineHistory): ContiguousWal | undefined {
  const archive = snapshot.walArchive;
  if (archive === undefined) return undefined;
  return snapshot.backups
    .filter((backup) => isOnPath(backup, history))
    .map((backup) => contiguousWalFrom(archive, history, backup.startLsn))
    .reduce<ContiguousWal | undefined>(
      (furthest, wal) => (furthest === undefined || wal.endLsn > furthest.endLsn ? wal : furthest),
      undefined,
    );
}

/** A rest of the fork's own segment proves nothing of a time: a server that was shut down archives it whole. */
function reachesTarget(wal: ContiguousWal, lsn: Lsn, snapshot: RepositorySnapshot, { target }: RestoreChoiceRequest): boolean {
  if (target.kind === 'lsn') return wal.endLsn > target.lsn;
  if (target.kind !== 'time' || wal.lastArchivedAt === undefined) return false;
  const size = snapshot.walArchive?.segmentSizeBytes ?? 0;
  return endOfSecond(wal.lastArchivedAt) >= target.time && segmentNumberBefore(wal.endLsn, size) > segmentNumberOf(lsn, size);
}

/** Known of an LSN; of a time by a backup that began after it and before the fork, or by what the fork's history file says. */
function isBeforeFork(
  lsn: Lsn,
  backups: readonly BaseBackup[],
  histories: readonly TimelineHistory[],
  { target }: RestoreChoiceRequest,
): boolean {
  if (target.kind === 'lsn') return target.inclusive ? target.lsn < lsn : target.lsn <= lsn;
  if (target.kind !== 'time') return false;
  const forkTimes = histories.flatMap((history) => history.ancestors.filter((fork) => fork.switchLsn === lsn)).map(timeOf);
  if (forkTimes.some((time) => time !== undefined && target.time < time)) return true;
  return backups.some(
    (backup) => backup.startTime > target.time && backup.startLsn <= lsn && histories.some((history) => isOnPath(backup, history)),
  );
}

/** PostgreSQL notes a recovery to a time as `before <commit time of the first transaction that was not replayed>`. */
function timeOf({ reason }: TimelineFork): Instant | undefined {
  const text = /^before (\d.*)$/.exec(reason)?.[1];
  if (text === undefined) return undefined;
  try {
    return parsePostgresTimestamp(text);
  } catch {
    return undefined;
  }
}
