import type { BaseBackup } from '../catalog/base-backup.ts';
import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import type { Lsn } from '../postgres/lsn.ts';
import { type TimelineId, timelineIdOf } from '../postgres/timeline.ts';
import { type Assessment, assessBackup, gapText, type Reach } from './assess-backup.ts';
import { divergenceBefore } from './divergence.ts';
import { estimateRestoreSeconds } from './estimate.ts';
import { refuseRestore, refuseDivergence, refuseFuture } from './refuse-restore.ts';
import type { BackupCandidate, RestoreChoice, RestoreChoiceRequest } from './restore-choice.ts';
import { walPath } from './timeline-path.ts';
import { isOnPath, knownTimelines } from './usable-backup.ts';

export type { BackupCandidate, ChoiceRefusal, RestoreChoice, RestoreChoiceRequest } from './restore-choice.ts';

/**
 * Chooses the backups from which a target can be reached, best first, or says why it cannot be and what is near it.
 *
 * A backup serves where its chain is whole, its WAL is there from its start to its stop, it lies on the way of the wanted
 * timeline, it ended before a time or LSN that is asked for, and WAL without a hole reaches from it to there. The best of
 * each repository comes first, the one that is estimated to take the least time (copy and replay) before the others; then the older ones, which are for the case that a better one fails. For `latest` it comes first how
 * far the WAL reaches. A backup with page checksum failures serves only where there is no other or it is named.
 */
export function chooseBackup(snapshots: readonly RepositorySnapshot[], request: RestoreChoiceRequest): RestoreChoice {
  const assessments = assessAll(snapshots, request);
  if (isInFuture(request)) return refuseFuture(assessments, request);
  const serving = withoutNeedlessPageErrors(assessments.filter(serves), request);
  if (serving.length === 0) return refuseRestore(assessments, snapshots, request);
  const divergence = divergenceBefore(serving, request);
  if (divergence !== undefined) return refuseDivergence(divergence, request);
  const candidates = serving.map((one) => ({ reach: one.reach, kind: one.snapshot.kind, candidate: candidateOf(one, snapshots, request) }));
  return { kind: 'chosen', candidates: inOrder(candidates, request).map(({ candidate }) => candidate) };
}

type Serving = Assessment & { readonly reach: Reach };

interface Ranked {
  readonly reach: Reach;
  readonly kind: RepositorySnapshot['kind'];
  readonly candidate: BackupCandidate;
}

function assessAll(snapshots: readonly RepositorySnapshot[], request: RestoreChoiceRequest): readonly Assessment[] {
  const searched = snapshots.filter((one) => request.repository === undefined || one.repository === request.repository);
  return searched.flatMap((snapshot) => {
    const newest = newestTimeline(
      snapshots.filter((other) => other.systemIdentifier === snapshot.systemIdentifier),
      request,
    );
    return snapshot.backups
      .filter((backup) => request.label === undefined || backup.label === request.label)
      .map((backup) => assessBackup(backup, snapshot, request, newest));
  });
}

/**
 * Over all repositories of the cluster, so that `latest` means the same in a repository that lags behind. The end of the archive
 * is asked for as the newest state: it may not end on an older timeline than the one that the running primary writes.
 */
function newestTimeline(snapshots: readonly RepositorySnapshot[], { target, liveEnd }: RestoreChoiceRequest): TimelineId {
  const live = target.kind === 'latest' && liveEnd !== undefined ? [liveEnd.timeline] : [];
  const timelines = [...live, ...snapshots.flatMap((snapshot) => knownTimelines(snapshot))];
  return timelines.reduce((newest, timeline) => (timeline > newest ? timeline : newest), timelineIdOf(1));
}

/** By the clock of this host or of the database server, whichever is ahead. */
function isInFuture({ target, now, liveEnd }: RestoreChoiceRequest): boolean {
  return target.kind === 'time' && target.time > now && !(liveEnd !== undefined && target.time <= liveEnd.time);
}

function serves(assessment: Assessment): assessment is Serving {
  return assessment.problem === undefined && assessment.reach !== undefined;
}

function withoutNeedlessPageErrors(serving: readonly Serving[], request: RestoreChoiceRequest): readonly Serving[] {
  const clean = serving.filter((one) => !one.backup.hasPageErrors);
  return request.label !== undefined || clean.length === 0 ? serving : clean;
}

function candidateOf(
  { backup, snapshot, reach }: Serving,
  snapshots: readonly RepositorySnapshot[],
  request: RestoreChoiceRequest,
): BackupCandidate {
  const endLsn = replayEnd(backup, reach, snapshots, request);
  const pieces = walPath(reach.history, backup.startLsn, endLsn, reach.segmentSizeBytes);
  const segmentCount = pieces.reduce((sum, piece) => sum + (piece.lastSegment - piece.firstSegment + 1n), 0n);
  return {
    repository: snapshot.repository,
    label: backup.label,
    backup,
    timeline: reach.history.timeline,
    segmentCount: Number(segmentCount),
    walBytes: endLsn - backup.startLsn,
    reasons: reasonsFor(backup, reach, request),
  };
}

/** Where replay ends at the latest: an instant lies before the start of every backup that began after it. */
function replayEnd(backup: BaseBackup, reach: Reach, snapshots: readonly RepositorySnapshot[], { target }: RestoreChoiceRequest): Lsn {
  if (target.kind === 'immediate') return backup.stopLsn;
  if (target.kind === 'lsn') return target.lsn;
  if (target.kind !== 'time') return reach.lsn;
  return snapshots
    .flatMap((snapshot) => snapshot.backups)
    .filter((other) => other.systemIdentifier === backup.systemIdentifier)
    .filter((other) => other.startTime > target.time && other.startLsn >= backup.stopLsn && isOnPath(other, reach.history))
    .reduce((end, other) => (other.startLsn < end ? other.startLsn : end), reach.lsn);
}

function reasonsFor(
  backup: BaseBackup,
  { wal, time, isLive }: Reach,
  { target, label, timeline }: RestoreChoiceRequest,
): readonly string[] {
  const reasons: string[] = [];
  if (label !== undefined) reasons.push('it was named');
  if (target.kind === 'time' || target.kind === 'lsn') reasons.push('it ended before the target and its WAL reaches there without a gap');
  else if (target.kind === 'xid' || target.kind === 'name')
    reasons.push('nothing tells where the target lies: it is found only if it comes after this backup');
  if (target.kind === 'time' && time === undefined)
    reasons.push('the repository does not tell how old its WAL is: whether it reaches the target shows in replay');
  if (target.kind === 'latest' && wal.gap !== undefined)
    reasons.push(`recovery will end before the end of the archive: ${gapText(wal.gap)}`);
  if (isLive && target.kind !== 'immediate') reasons.push('the WAL of the running primary is counted in');
  if (timeline === 'current') reasons.push(`it stays on timeline ${backup.timeline}`);
  if (backup.hasPageErrors) reasons.push('page checksum failures were found when it was taken: some of its pages are damaged');
  return reasons;
}

function inOrder(candidates: readonly Ranked[], { target }: RestoreChoiceRequest): readonly Ranked[] {
  const byTime = candidates.toSorted(
    (left, right) => secondsOf(left) - secondsOf(right) || compare(left.candidate.walBytes, right.candidate.walBytes),
  );
  const rank = new Map(byTime.map((one) => [one, rankInRepository(one, byTime)]));
  return byTime.toSorted((left, right) => {
    const byReach = target.kind === 'latest' ? compare(right.reach.lsn, left.reach.lsn) : 0;
    return byReach || (rank.get(left) ?? 0) - (rank.get(right) ?? 0);
  });
}

function rankInRepository(one: Ranked, byTime: readonly Ranked[]): number {
  return byTime.filter((other) => other.candidate.repository === one.candidate.repository).indexOf(one);
}

function secondsOf({ candidate, kind }: Ranked): number {
  return estimateRestoreSeconds(kind, candidate.backup.databaseBytes, candidate.walBytes);
}

function compare(left: bigint, right: bigint): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
