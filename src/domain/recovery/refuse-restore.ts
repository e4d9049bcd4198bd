import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import { formatLsn, lsnOf } from '../postgres/lsn.ts';
import { formatInstantUtc } from '../time/instant.ts';
import { type Assessment, gapText, type ProblemKind } from './assess-backup.ts';
import { describeTarget } from './describe-target.ts';
import type { Divergence } from './divergence.ts';
import type { ChoiceRefusal, ChoiceRefusalCode, NearestTarget, RestoreChoiceRequest } from './restore-choice.ts';
import { earliestTargetTime } from './usable-backup.ts';

const MOST_PROBLEMS_TOLD = 20;

/** The target has not happened yet. PostgreSQL would replay everything before it finds out. */
export function refuseFuture(assessments: readonly Assessment[], request: RestoreChoiceRequest): ChoiceRefusal {
  const reached = latest(assessments.flatMap(({ reach }) => (reach?.time === undefined ? [] : [reach.time])));
  const before = reached === undefined ? undefined : reached < request.now ? reached : request.now;
  const message = `${describeTarget(request.target)} lies in the future (it is ${formatInstantUtc(request.now, { fraction: 'none' })} now)`;
  return refusal('TARGET_IN_FUTURE', message, before === undefined ? [] : [{ time: before, side: 'before' }], assessments, request);
}

/** Two histories have a state for the target and nothing tells which is meant. */
export function refuseDivergence(divergence: Divergence, request: RestoreChoiceRequest): ChoiceRefusal {
  const { followed, other, lsn, otherUntil } = divergence;
  const until = otherUntil === undefined ? '' : ` until ${formatInstantUtc(otherUntil, { fraction: 'none' })}`;
  const message = `${describeTarget(request.target)} may lie on timeline ${followed} or on timeline ${other}: they part at ${formatLsn(lsn)}, and the archive has both, timeline ${other}${until}`;
  return {
    ...refusal('TARGET_TIMELINE', message, [], [], request),
    details: { target: describeTarget(request.target), timelines: [followed, other], partAt: formatLsn(lsn) },
  };
}

/** Says why no backup serves: the reason that an operator would act on first. */
export function refuseRestore(
  assessments: readonly Assessment[],
  snapshots: readonly RepositorySnapshot[],
  request: RestoreChoiceRequest,
): ChoiceRefusal {
  if (assessments.length === 0) return refusal('NO_BACKUP', noBackup(snapshots, request), [], [], request);
  const of = (...kinds: ProblemKind[]) => assessments.filter(({ problem }) => problem !== undefined && kinds.includes(problem.kind));
  const tooShort = of('wal ends before target');
  if (tooShort.length > 0) return refuseBeyondWal(tooShort, of('ends after target'), assessments, request);
  const damaged = of('damaged', 'excluded').filter((one) => couldServe(one, request));
  if (damaged.length > 0) return plainly('BACKUP_DAMAGED', damaged, assessments, request);
  const tooLate = of('ends after target');
  if (tooLate.length > 0) return refuseBeforeBackup(tooLate, assessments, request);
  const offTimeline = of('timeline');
  if (offTimeline.length > 0) return plainly('TARGET_TIMELINE', offTimeline, assessments, request);
  const spoilt = of('damaged', 'excluded');
  return spoilt.length > 0
    ? plainly('BACKUP_DAMAGED', spoilt, assessments, request)
    : plainly('NO_BACKUP', assessments, assessments, request);
}

/** By its time or position alone. */
function couldServe({ backup }: Assessment, { target }: RestoreChoiceRequest): boolean {
  if (target.kind === 'time') return earliestTargetTime(backup) <= target.time;
  return target.kind !== 'lsn' || backup.stopLsn <= target.lsn;
}

function noBackup(snapshots: readonly RepositorySnapshot[], { repository, label }: RestoreChoiceRequest): string {
  const where =
    repository === undefined
      ? `any repository (${snapshots.map((one) => one.repository).join(', ') || 'none was read'})`
      : `repository ${repository}`;
  return label === undefined ? `there is no backup in ${where}` : `there is no backup ${label} in ${where}`;
}

function refuseBeyondWal(
  tooShort: readonly Assessment[],
  tooLate: readonly Assessment[],
  all: readonly Assessment[],
  request: RestoreChoiceRequest,
): ChoiceRefusal {
  const gap = tooShort.find(({ reach }) => reach?.wal.gap !== undefined)?.reach?.wal.gap;
  const after = nearestAfter(tooLate, request);
  const nearest = [...nearestBefore(tooShort, request), ...after];
  const target = describeTarget(request.target);
  if (gap === undefined && after.length === 0)
    return refusal(
      'TARGET_AFTER_WINDOW',
      `${target} lies after the end of the archived WAL${told(nearest, 'before')}`,
      nearest,
      all,
      request,
    );
  const missing = gap === undefined ? '' : ` (${gapText(gap)})`;
  const message = `${target} lies in a gap of the archived WAL${missing}${told(nearest, 'before')}${told(nearest, 'after')}`;
  return refusal('TARGET_IN_GAP', message, nearest, all, request);
}

function refuseBeforeBackup(tooLate: readonly Assessment[], all: readonly Assessment[], request: RestoreChoiceRequest): ChoiceRefusal {
  const nearest = nearestAfter(tooLate, request);
  const { target } = request;
  const during = tooLate.find(({ backup }) => target.kind === 'time' && backup.startTime <= target.time);
  const message =
    during === undefined
      ? `${describeTarget(target)} lies before the end of ${request.label === undefined ? 'the oldest backup that serves' : `backup ${request.label}`}${told(nearest, 'after')}`
      : `${describeTarget(target)} lies before the end of backup ${during.backup.label}, which ran from ${formatInstantUtc(during.backup.startTime)} to ${formatInstantUtc(during.backup.stopTime)}, and no older one serves${told(nearest, 'after')}`;
  return refusal('TARGET_BEFORE_WINDOW', message, nearest, all, request);
}

function plainly(
  code: ChoiceRefusalCode,
  found: readonly Assessment[],
  all: readonly Assessment[],
  request: RestoreChoiceRequest,
): ChoiceRefusal {
  const newest = found.reduce((one, other) => (other.backup.stopLsn > one.backup.stopLsn ? other : one));
  const others = found.length === 1 ? '' : `, nor does any of ${found.length - 1} others`;
  const message = `no backup serves ${describeTarget(request.target)}: ${newest.backup.label} in repository ${newest.snapshot.repository} ${newest.problem?.why ?? 'does not'}${others}`;
  return refusal(code, message, [], all, request);
}

function nearestBefore(tooShort: readonly Assessment[], { target }: RestoreChoiceRequest): readonly NearestTarget[] {
  if (target.kind === 'lsn') {
    const lsn = latest(tooShort.flatMap(({ backup, reach }) => (reach === undefined || reach.lsn <= backup.stopLsn ? [] : [reach.lsn])));
    return lsn === undefined ? [] : [{ lsn: lsnOf(lsn - 1n), side: 'before' }];
  }
  const times = tooShort.flatMap(({ backup, reach }) =>
    reach?.time === undefined || reach.time < earliestTargetTime(backup) ? [] : [reach.time],
  );
  const time = latest(times);
  return time === undefined ? [] : [{ time, side: 'before' }];
}

function nearestAfter(tooLate: readonly Assessment[], { target }: RestoreChoiceRequest): readonly NearestTarget[] {
  if (target.kind === 'lsn') {
    const lsn = earliest(tooLate.map(({ backup }) => backup.stopLsn));
    return lsn === undefined ? [] : [{ lsn, side: 'after' }];
  }
  const time = earliest(tooLate.map(({ backup }) => earliestTargetTime(backup)));
  return time === undefined ? [] : [{ time, side: 'after' }];
}

function told(nearest: readonly NearestTarget[], side: NearestTarget['side']): string {
  const one = nearest.find((candidate) => candidate.side === side);
  const value = one?.time !== undefined ? formatInstantUtc(one.time) : one?.lsn !== undefined ? formatLsn(one.lsn) : undefined;
  if (value === undefined) return '';
  return side === 'before' ? `; before it recovery reaches ${value}` : `; after it the first that can be reached is ${value}`;
}

function refusal(
  code: ChoiceRefusalCode,
  message: string,
  nearest: readonly NearestTarget[],
  assessments: readonly Assessment[],
  request: RestoreChoiceRequest,
): ChoiceRefusal {
  const problems = assessments.slice(-MOST_PROBLEMS_TOLD).map(({ backup, snapshot, problem }) => ({
    repository: snapshot.repository,
    backup: backup.label,
    why: problem?.why ?? null,
  }));
  return {
    kind: 'refused',
    code,
    message,
    nearest,
    details: { target: describeTarget(request.target), timeline: request.timeline, backups: problems },
  };
}

function latest<T extends bigint>(values: readonly T[]): T | undefined {
  return values.reduce<T | undefined>((best, value) => (best === undefined || value > best ? value : best), undefined);
}

function earliest<T extends bigint>(values: readonly T[]): T | undefined {
  return values.reduce<T | undefined>((best, value) => (best === undefined || value < best ? value : best), undefined);
}
