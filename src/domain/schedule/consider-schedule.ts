import type { RepositoryName } from '../catalog/base-backup.ts';
import { addMicros, formatInstantUtc, type Instant, secondsBetween } from '../time/instant.ts';
import { retryAt } from './backoff.ts';
import { endOfBlackouts } from './blackout.ts';
import type { Consideration, DueRun, PassedOver } from './due-run.ts';
import type { RunHistory } from './history.ts';
import { withJitter } from './jitter.ts';
import { lastOccurrence, nextOccurrence } from './occurrences.ts';
import { isDone, type PastRun } from './past-run.ts';
import type { Schedule } from './schedule.ts';

export interface ScheduleContext {
  readonly cluster: string;
  readonly history: RunHistory;
  readonly now: Instant;
  /** Of this schedule as it is now; not after `now`. */
  readonly firstSeen: Instant;
}

const MOST_COUNTED = 1000;

/**
 * Whether a schedule is due in one repository (`undefined`: in all together). At most one run is, of its newest occurrence:
 * whatever was missed before is caught up by it.
 */
export function considerSchedule(schedule: Schedule, repository: RepositoryName | undefined, context: ScheduleContext): Consideration {
  const { history, now, firstSeen } = context;
  const wakeAt = nextStart(schedule, context);
  const lastDone = history.lastDone(schedule.kind, schedule.name, repository);
  const after = lastDone !== undefined && lastDone > firstSeen ? lastDone : firstSeen;
  const occurrence = newestStarted(schedule, after, context);
  if (occurrence === undefined) return { wakeAt };
  const run = history.runOf(schedule.kind, schedule.name, repository, occurrence);
  if (run !== undefined && (isDone(run) || run.state.kind === 'running')) return { wakeAt };
  const other = repository === undefined ? undefined : history.backupSince(repository, schedule.type, occurrence);
  if (other !== undefined) {
    const reason = `the ${other.type} backup of run ${other.runId}, begun since, does the same`;
    return { wakeAt, passedOver: [passedOver(schedule, repository, occurrence, 1, reason)] };
  }
  const missed = countBetween(schedule, after, occurrence);
  const due = dueRun(schedule, repository, occurrence, { missed, run });
  return { ...holdBack(schedule, due, run, wakeAt, now), passedOver: catchUp(schedule, repository, after, occurrence, missed) };
}

function holdBack(schedule: Schedule, due: DueRun, run: PastRun | undefined, wakeAt: Instant | undefined, now: Instant): Consideration {
  const retry = run === undefined ? now : hasUsedUpItsTime(schedule, run) ? 'never' : retryAt(run, now);
  if (retry === 'never') return { wakeAt, held: { run: due, why: `${describeFailure(run)}; not tried again before its next occurrence` } };
  if (retry > now) return { wakeAt: earlier(wakeAt, retry), held: { run: due, why: describeFailure(run), until: retry } };
  const free = endOfBlackouts(schedule.blackouts, schedule.timezone, now);
  if (free === undefined) return { wakeAt, held: { run: due, why: 'its blackouts leave no time free' } };
  return free > now ? { wakeAt: earlier(wakeAt, free), held: { run: due, why: 'a blackout', until: free } } : { wakeAt, due };
}

/** A run that was ended because it took too long would take too long again. */
function hasUsedUpItsTime({ maximumRunSeconds }: Schedule, { state, startedAt }: PastRun): boolean {
  if (maximumRunSeconds === undefined || state.kind !== 'failed' || state.code !== 'TIMED_OUT') return false;
  return secondsBetween(startedAt, state.endedAt) >= maximumRunSeconds;
}

function dueRun(
  schedule: Schedule,
  repository: RepositoryName | undefined,
  occurrence: Instant,
  { missed, run }: { readonly missed: number; readonly run: PastRun | undefined },
): DueRun {
  const { name, kind, type, maximumRunSeconds } = schedule;
  const at = `due at ${formatInstantUtc(occurrence, { fraction: 'none' })} by ${name}`;
  const earlierOnes = missed === 0 ? '' : `, for ${missed === MOST_COUNTED ? `${MOST_COUNTED} or more` : missed} before it too`;
  const again = run === undefined ? '' : `; ${describeFailure(run)}`;
  return {
    kind,
    ...(type === undefined ? {} : { type }),
    repositories: repository === undefined ? schedule.repositories : [repository],
    trigger: { kind: 'schedule', name, occurrence },
    reason: `${at}${earlierOnes}${again}`,
    ...(maximumRunSeconds === undefined ? {} : { maximumRunSeconds }),
    ...(run === undefined ? {} : { resumes: { runId: run.runId, startedAt: run.startedAt } }),
  };
}

/** What is said of a run that is gone on with. */
export function describeFailure(run: PastRun | undefined): string {
  if (run === undefined || run.state.kind !== 'failed') return `run ${run?.runId} was interrupted`;
  const times = run.attempts === 1 ? 'once' : `${run.attempts} times`;
  return `run ${run.runId} has failed ${times}, last with ${run.state.code}`;
}

/** The newest occurrence after `after` whose run may have begun by now. */
function newestStarted(schedule: Schedule, after: Instant, { cluster, now }: ScheduleContext): Instant | undefined {
  let upTo = now;
  for (;;) {
    const occurrence = lastOccurrence(schedule, upTo, after);
    if (occurrence === undefined) return undefined;
    if (withJitter(cluster, schedule.name, occurrence, schedule.jitterSeconds) <= now) return occurrence;
    upTo = addMicros(occurrence, -1n);
  }
}

/** When the next run begins, which need not be that of the next occurrence. */
function nextStart(schedule: Schedule, { cluster, now }: ScheduleContext): Instant | undefined {
  let best: Instant | undefined;
  let occurrence = nextOccurrence(schedule, addMicros(now, BigInt(-schedule.jitterSeconds) * 1_000_000n));
  while (occurrence !== undefined && (best === undefined || occurrence < best)) {
    const start = withJitter(cluster, schedule.name, occurrence, schedule.jitterSeconds);
    if (start > now && (best === undefined || start < best)) best = start;
    occurrence = nextOccurrence(schedule, occurrence);
  }
  return best;
}

function countBetween(schedule: Schedule, after: Instant, occurrence: Instant): number {
  let count = 0;
  let next = nextOccurrence(schedule, after);
  while (next !== undefined && next < occurrence && count < MOST_COUNTED) {
    count += 1;
    next = nextOccurrence(schedule, next);
  }
  return count;
}

function catchUp(
  schedule: Schedule,
  repository: RepositoryName | undefined,
  after: Instant,
  occurrence: Instant,
  missed: number,
): readonly PassedOver[] {
  const last = missed === 0 ? undefined : lastOccurrence(schedule, addMicros(occurrence, -1n), after);
  if (last === undefined) return [];
  const reason = `missed; the one run due at ${formatInstantUtc(occurrence, { fraction: 'none' })} catches up`;
  return [passedOver(schedule, repository, last, missed, reason)];
}

function passedOver(
  { name }: Schedule,
  repository: RepositoryName | undefined,
  occurrence: Instant,
  count: number,
  reason: string,
): PassedOver {
  return { schedule: name, ...(repository === undefined ? {} : { repository }), occurrence, count, reason };
}

/** The earlier of two instants, where there are two. */
export function earlier(one: Instant | undefined, other: Instant | undefined): Instant | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one < other ? one : other;
}
