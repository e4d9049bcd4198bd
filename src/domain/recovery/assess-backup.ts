import type { BaseBackup } from '../catalog/base-backup.ts';
import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import { timelineAt, type TimelineHistory } from '../postgres/timeline-history.ts';
import { formatTimelineHex, type TimelineId } from '../postgres/timeline.ts';
import { endOfSecond, formatInstantUtc, type Instant } from '../time/instant.ts';
import type { RestoreChoiceRequest } from './restore-choice.ts';
import { type ContiguousWal, contiguousWalFrom } from './timeline-path.ts';
import { earliestTargetTime, historyForBackup, isOfListedGeneration, isOnPath, missingReferences } from './usable-backup.ts';

/** Why a backup does not serve a request. */
export type ProblemKind = 'generation' | 'excluded' | 'damaged' | 'timeline' | 'ends after target' | 'wal ends before target';

interface Problem {
  readonly kind: ProblemKind;
  /** Goes on after "backup X in repository Y". */
  readonly why: string;
}

/** How far replay gets from one backup. */
export interface Reach {
  readonly history: TimelineHistory;
  readonly wal: ContiguousWal;
  readonly segmentSizeBytes: number;
  /** Exclusive; with the live end where that counts. */
  readonly lsn: Lsn;
  /** An upper estimate, with the live end where that counts; undefined where the repository tells no times. */
  readonly time?: Instant;
  /** True where the running primary's WAL is counted in. */
  readonly isLive: boolean;
}

/** One backup of one repository, looked at for one request. */
export interface Assessment {
  readonly backup: BaseBackup;
  readonly snapshot: RepositorySnapshot;
  /** Present where its recovery could begin at all: intact, on the way of the timeline, WAL there from start to stop. */
  readonly reach?: Reach;
  /** Absent where it serves. */
  readonly problem?: Problem;
}

/** Looks at one backup. `newestTimeline` is what the timeline `latest` stands for. Pure. */
export function assessBackup(
  backup: BaseBackup,
  snapshot: RepositorySnapshot,
  request: RestoreChoiceRequest,
  newestTimeline: TimelineId,
): Assessment {
  const failed = (kind: ProblemKind, why: string): Assessment => ({ backup, snapshot, problem: { kind, why } });
  if (!isOfListedGeneration(backup, snapshot))
    return failed('generation', 'is of an earlier generation of the cluster, whose WAL archive is not this one');
  if (request.excluded.some((one) => one.label === backup.label && one.repository === snapshot.repository))
    return failed('excluded', 'has been tried in this run and failed');
  const missing = missingReferences(backup, snapshot.backups);
  if (missing.length > 0) return failed('damaged', `needs ${missing.join(', ')}, which the repository no longer has`);

  const archive = snapshot.walArchive;
  if (archive === undefined) return failed('damaged', 'has no WAL archive beside it');
  const timeline = timelineFor(backup, request, newestTimeline);
  const isNumbered = typeof request.timeline === 'number' && timeline !== 1;
  const known = !isNumbered || archive.histories.some((history) => history.timeline === timeline);
  const history = known ? historyForBackup(backup, timeline, archive.histories) : undefined;
  if (history === undefined)
    return failed('timeline', `cannot follow timeline ${timeline}: the archive has no ${formatTimelineHex(timeline)}.history`);
  if (!isOnPath(backup, history)) return failed('timeline', offPath(backup, history));

  const wal = contiguousWalFrom(archive, history, backup.startLsn);
  if (wal.endLsn < backup.stopLsn)
    return failed('damaged', `lacks WAL between its own start and stop: the archive has it only up to ${formatLsn(wal.endLsn)}`);
  const reach = withLiveEnd({ history, wal, segmentSizeBytes: archive.segmentSizeBytes }, request.liveEnd);
  const problem = problemOfTarget(backup, reach, request);
  return { backup, snapshot, reach, ...(problem === undefined ? {} : { problem }) };
}

function timelineFor(backup: BaseBackup, request: RestoreChoiceRequest, newestTimeline: TimelineId): TimelineId {
  if (request.timeline === 'latest') return newestTimeline;
  return request.timeline === 'current' ? backup.timeline : request.timeline;
}

function offPath(backup: BaseBackup, history: TimelineHistory): string {
  const fork = history.ancestors.find((ancestor) => ancestor.timeline === backup.timeline);
  return fork === undefined
    ? `was taken on timeline ${backup.timeline}, from which timeline ${history.timeline} does not descend`
    : `ended at ${formatLsn(backup.stopLsn)} on timeline ${backup.timeline}, which timeline ${history.timeline} left before, at ${formatLsn(fork.switchLsn)}`;
}

/** The running primary's WAL goes on where the archive's ends, unless a hole lies before it or replay follows another timeline. */
function withLiveEnd(archived: Pick<Reach, 'history' | 'wal' | 'segmentSizeBytes'>, liveEnd: RestoreChoiceRequest['liveEnd']): Reach {
  const { history, wal } = archived;
  const time = wal.lastArchivedAt;
  const own = { ...archived, lsn: wal.endLsn, ...(time === undefined ? {} : { time }), isLive: false };
  if (liveEnd === undefined || wal.gap !== undefined) return own;
  const follows = liveEnd.timeline === history.timeline && timelineAt(history, liveEnd.lsn) === liveEnd.timeline;
  if (!follows) return own;
  return {
    ...archived,
    lsn: liveEnd.lsn > wal.endLsn ? liveEnd.lsn : wal.endLsn,
    time: time !== undefined && time > liveEnd.time ? time : liveEnd.time,
    isLive: true,
  };
}

/**
 * A time or LSN must lie after the end of the backup and before the end of the WAL; where a transaction id or a
 * restore point lies nobody knows before replay has met it; `latest` and `immediate` are met by any backup.
 */
function problemOfTarget(backup: BaseBackup, reach: Reach, { target, liveEnd }: RestoreChoiceRequest): Problem | undefined {
  if (target.kind === 'time') {
    const earliest = earliestTargetTime(backup);
    if (target.time < earliest)
      return {
        kind: 'ends after target',
        why: `ended at ${formatInstantUtc(backup.stopTime)} and serves instants from ${formatInstantUtc(earliest)} on`,
      };
    const until = latestTargetTime(reach);
    if (until !== undefined && until < target.time) return { kind: 'wal ends before target', why: walEnd(reach) };
  }
  if (target.kind === 'lsn') {
    if (target.lsn < backup.stopLsn) return { kind: 'ends after target', why: `ended at ${formatLsn(backup.stopLsn)}` };
    const reached = target.lsn < reach.wal.endLsn || (reach.isLive && liveEnd !== undefined && target.lsn <= liveEnd.lsn);
    if (!reached) return { kind: 'wal ends before target', why: walEnd(reach) };
  }
  return undefined;
}

/**
 * The last instant that may lie in the WAL; undefined where nothing tells. All of the second in which the archive's last segment
 * came may: also where the running primary was looked at within that second, since the archive was listed after it.
 */
function latestTargetTime({ wal, time }: Reach): Instant | undefined {
  const archived = wal.lastArchivedAt === undefined ? undefined : endOfSecond(wal.lastArchivedAt);
  return archived !== undefined && (time === undefined || archived > time) ? archived : time;
}

function walEnd({ wal, lsn, time }: Reach): string {
  const when = time === undefined ? '' : ` (${formatInstantUtc(time)})`;
  return wal.gap === undefined
    ? `is followed by WAL only up to ${formatLsn(lsn)}${when}`
    : `is followed by WAL only up to ${formatLsn(lsn)}${when}: ${gapText(wal.gap)}`;
}

/** For example `segments 0000…07 to 0000…09 are missing`. */
export function gapText(gap: NonNullable<ContiguousWal['gap']>): string {
  return gap.firstMissing === gap.lastMissing
    ? `segment ${gap.firstMissing} is missing`
    : `segments ${gap.firstMissing} to ${gap.lastMissing} are missing`;
}
