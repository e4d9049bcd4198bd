import type { BackupLabel, BaseBackup, RepositoryName } from '../catalog/base-backup.ts';
import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import type { WalArchive } from '../catalog/wal-archive.ts';
import type { Lsn } from '../postgres/lsn.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { historyOf, rootHistory, timelineAt, type TimelineHistory } from '../postgres/timeline-history.ts';
import { parseWalSegmentName, segmentStartLsn, type WalSegmentName } from '../postgres/wal-segment.ts';
import type { Instant } from '../time/instant.ts';
import { type ContiguousWal, contiguousWalFrom } from './timeline-path.ts';
import { earliestTargetTime, isOfListedGeneration, isOnPath, knownTimelines, missingReferences } from './usable-backup.ts';

/** A stretch of time and WAL to any point of which a repository can bring the cluster back. */
export interface RecoveryWindow {
  readonly repository: RepositoryName;
  /** The timeline that recovery follows. */
  readonly timeline: TimelineId;
  /** The first instant that can be asked for: one second after the stop of the first backup (see earliestTargetTime). */
  readonly from: Instant;
  readonly fromLsn: Lsn;
  /**
   * When the last contiguous segment was archived, by the repository's clock, and never before `from`. An upper estimate: the
   * last commit in that segment is as old as this or older. Undefined where the repository tells no times.
   */
  readonly to: Instant | undefined;
  /** Exclusive. */
  readonly toLsn: Lsn;
  /** Oldest first. */
  readonly backups: readonly BackupLabel[];
  /** True where WAL goes on after a hole, false where the archive simply ends here. */
  readonly closedByGap: boolean;
}

/** Segments that are missing between WAL that is there. */
export interface WalGap {
  readonly repository: RepositoryName;
  /** The timeline that recovery follows. */
  readonly timeline: TimelineId;
  readonly firstMissing: WalSegmentName;
  readonly lastMissing: WalSegmentName;
  readonly resumesAt: WalSegmentName;
  readonly fromLsn: Lsn;
  /** Exclusive. */
  readonly toLsn: Lsn;
  /** When the last segment before the gap was archived, where the repository tells it. */
  readonly before: Instant | undefined;
  /** The first instant after the gap that can be asked for, where a backup was taken after it. */
  readonly after: Instant | undefined;
}

/**
 * What can be recovered from one repository. A window begins with a backup without page errors whose whole chain is there and
 * reaches to the end of the WAL that follows without a hole; backups within that WAL share the window. The newest timeline
 * comes first, its windows oldest first, then those of older timelines as far as they reach where the newer ones do not.
 */
export function recoveryWindows(snapshot: RepositorySnapshot): { windows: RecoveryWindow[]; gaps: WalGap[] } {
  const archive = snapshot.walArchive;
  const windows: RecoveryWindow[] = [];
  const gaps: WalGap[] = [];
  if (archive === undefined) return { windows, gaps };
  const backups = goodBackups(snapshot);
  const followed: FollowedWindow[] = [];
  for (const timeline of knownTimelines(snapshot)) {
    const history = historyOf(timeline, archive.histories) ?? rootHistory(timeline);
    const found = windowsAlong(snapshot.repository, archive, history, backups);
    const fresh = found.filter(({ window }) => !followed.some((newer) => covers(newer, window, history)));
    windows.push(...fresh.map(({ window }) => window));
    gaps.push(...fresh.flatMap((one) => gapAfter(one, archive, found[found.indexOf(one) + 1]?.window)));
    followed.push(...fresh);
  }
  return { windows, gaps };
}

interface FollowedWindow {
  readonly window: RecoveryWindow;
  readonly history: TimelineHistory;
  readonly wal: ContiguousWal;
}

function goodBackups(snapshot: RepositorySnapshot): readonly BaseBackup[] {
  return snapshot.backups
    .filter((backup) => !backup.hasPageErrors && isOfListedGeneration(backup, snapshot))
    .filter((backup) => missingReferences(backup, snapshot.backups).length === 0)
    .toSorted((left, right) => (left.stopLsn < right.stopLsn ? -1 : left.stopLsn > right.stopLsn ? 1 : 0));
}

function windowsAlong(
  repository: RepositoryName,
  archive: WalArchive,
  history: TimelineHistory,
  backups: readonly BaseBackup[],
): FollowedWindow[] {
  const found: (FollowedWindow & { readonly backups: BackupLabel[] })[] = [];
  for (const backup of backups.filter((candidate) => isOnPath(candidate, history))) {
    const current = found.at(-1);
    if (current !== undefined && backup.startLsn >= current.window.fromLsn && backup.stopLsn <= current.window.toLsn) {
      current.backups.push(backup.label);
      continue;
    }
    const wal = contiguousWalFrom(archive, history, backup.startLsn);
    if (wal.endLsn < backup.stopLsn) continue;
    if (current !== undefined && wal.endLsn === current.window.toLsn) current.backups.push(backup.label);
    else found.push(opened(repository, history, backup, wal));
  }
  return found;
}

function opened(repository: RepositoryName, history: TimelineHistory, backup: BaseBackup, wal: ContiguousWal) {
  const from = earliestTargetTime(backup);
  const to = wal.lastArchivedAt;
  const backups = [backup.label];
  const window: RecoveryWindow = {
    repository,
    timeline: history.timeline,
    from,
    fromLsn: backup.stopLsn,
    to: to !== undefined && to < from ? from : to,
    toLsn: wal.endLsn,
    backups,
    closedByGap: wal.gap !== undefined,
  };
  return { window, history, wal, backups };
}

/** True where everything that `window` reaches along `history` is reached by a window of a newer timeline as well. */
function covers(newer: FollowedWindow, window: RecoveryWindow, history: TimelineHistory): boolean {
  const lastByte = (window.toLsn - 1n) as Lsn;
  const samePath = timelineAt(newer.history, lastByte) === timelineAt(history, lastByte);
  return samePath && newer.window.fromLsn <= window.fromLsn && newer.window.toLsn >= window.toLsn;
}

function gapAfter({ window, wal }: FollowedWindow, archive: WalArchive, next: RecoveryWindow | undefined): WalGap[] {
  if (wal.gap === undefined) return [];
  const { segmentNumber } = parseWalSegmentName(wal.gap.resumesAt, archive.segmentSizeBytes);
  const { repository, timeline, toLsn } = window;
  const until = segmentStartLsn(segmentNumber, archive.segmentSizeBytes);
  return [{ repository, timeline, ...wal.gap, fromLsn: toLsn, toLsn: until, before: wal.lastArchivedAt, after: next?.from }];
}
