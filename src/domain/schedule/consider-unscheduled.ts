import type { RepositoryName } from '../catalog/base-backup.ts';
import type { Instant } from '../time/instant.ts';
import { retryAt } from './backoff.ts';
import { endOfBlackouts } from './blackout.ts';
import { describeFailure } from './consider-schedule.ts';
import type { Consideration, DueRun } from './due-run.ts';
import { earlyBackup, type EarlyFacts, type RepositoryFacts } from './early.ts';
import type { RunHistory } from './history.ts';
import { isAtLeast, isDone, type PastRun } from './past-run.ts';
import type { Schedule } from './schedule.ts';

/** Whether a backup is due before any schedule says so. `schedules`: those that take backups into that repository. */
export function considerEarlyBackup(
  repository: RepositoryFacts,
  schedules: readonly Schedule[],
  history: RunHistory,
  facts: EarlyFacts,
): Consideration {
  const early = earlyBackup(repository, facts);
  if (early === undefined || schedules.length === 0 || isOutdated(repository, history)) return {};
  const before = history.lastEarly(repository.name);
  if (before?.state.kind === 'running' || before?.state.kind === 'cancelled') return {};
  const run = before !== undefined && isAtLeast(before.type, early.type) ? before : undefined;
  const due: DueRun = {
    kind: 'backup',
    type: early.type,
    repositories: [repository.name],
    trigger: { kind: 'early', reason: early.reason },
    reason: run === undefined ? early.reason : `${early.reason}; ${describeFailure(run)}`,
    ...longest(schedules),
    ...resuming(run),
  };
  const retried = retry(due, run, facts.now);
  if (!early.heedsBlackouts || retried.due === undefined) return retried;
  const ends = schedules.map(({ blackouts, timezone }) => endOfBlackouts(blackouts, timezone, facts.now));
  const free = ends.reduce((last, end) => (last === undefined || end === undefined ? undefined : end > last ? end : last));
  return free === facts.now ? retried : { wakeAt: free, held: { run: due, why: 'a blackout', ...(free && { until: free }) } };
}

/** A backup has been taken since the repository was looked at. */
function isOutdated({ name, readAt }: RepositoryFacts, history: RunHistory): boolean {
  const good = history.lastGood('backup', name);
  return good?.state.kind === 'succeeded' && good.state.endedAt > readAt;
}

/** Whether a repository is to be expired because a backup into it is good whose schedule says so. */
export function considerExpire(
  repository: RepositoryName,
  schedules: readonly Schedule[],
  history: RunHistory,
  now: Instant,
): Consideration {
  const names = new Set(schedules.filter((schedule) => schedule.expireAfterBackup).map(({ name }) => name));
  const good = history.lastGood('backup', repository, ({ trigger }) => trigger.kind === 'schedule' && names.has(trigger.name));
  if (good?.trigger.kind !== 'schedule' || good.state.kind !== 'succeeded') return {};
  const expired = history.lastGood('expire', repository);
  if (expired !== undefined && expired.startedAt >= good.state.endedAt) return {};
  const { name, occurrence } = good.trigger;
  const run = history.runOf('expire', name, repository, occurrence);
  if (run !== undefined && (isDone(run) || run.state.kind === 'running')) return {};
  const due: DueRun = {
    kind: 'expire',
    repositories: [repository],
    trigger: good.trigger,
    reason: `run ${good.runId} of ${name} has taken a good backup${run === undefined ? '' : `; ${describeFailure(run)}`}`,
    ...resuming(run),
  };
  return retry(due, run, now);
}

function retry(due: DueRun, run: PastRun | undefined, now: Instant): Consideration {
  const at = run === undefined ? now : retryAt(run, now);
  if (at === 'never') return { held: { run: due, why: `${describeFailure(run)}; not tried again before the next good backup` } };
  return at > now ? { wakeAt: at, held: { run: due, why: describeFailure(run), until: at } } : { due };
}

function resuming(run: PastRun | undefined): Pick<DueRun, 'resumes'> {
  return run === undefined ? {} : { resumes: { runId: run.runId, startedAt: run.startedAt } };
}

/** As long as the most patient of them. */
function longest(schedules: readonly Schedule[]): Pick<DueRun, 'maximumRunSeconds'> {
  const most = Math.max(...schedules.map((schedule) => schedule.maximumRunSeconds ?? Infinity));
  return Number.isFinite(most) ? { maximumRunSeconds: most } : {};
}
