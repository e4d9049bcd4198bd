import type { RepositoryName } from '../../../../src/domain/catalog/base-backup.ts';
import { parseCronPattern } from '../../../../src/domain/schedule/cron-pattern.ts';
import { decideWhatIsDue, type ScheduleDecision, type ScheduleFacts } from '../../../../src/domain/schedule/decide.ts';
import type { PastRun, RunState } from '../../../../src/domain/schedule/past-run.ts';
import { type Schedule, scheduleIdentity } from '../../../../src/domain/schedule/schedule.ts';
import { type Instant, parsePostgresTimestamp } from '../../../../src/domain/time/instant.ts';

export const LOCAL = 'local' as RepositoryName;
export const S3 = 's3' as RepositoryName;

/** `2026-11-22 14:05`, UTC. */
export function at(text: string): Instant {
  return parsePostgresTimestamp(`${text.length === 16 ? `${text}:00` : text}+00`);
}

export function schedule(cron: string, changes: Partial<Schedule> = {}): Schedule {
  const parsed = parseCronPattern(cron);
  if (parsed.kind === 'refused') throw new Error(parsed.fault);
  return {
    name: changes.type === 'incr' ? 'incremental' : 'daily-full',
    kind: 'backup',
    type: 'full',
    pattern: parsed.pattern,
    timezone: 'Etc/UTC',
    repositories: [LOCAL],
    expireAfterBackup: false,
    jitterSeconds: 0,
    blackouts: [],
    suspended: false,
    ...changes,
  };
}

export const FULL = schedule('0 2 * * *');
export const INCREMENTAL = schedule('0 */6 * * *', { type: 'incr' });

let count = 0;

/** A run of a schedule for an occurrence that began then; good, where nothing else is said, and a minute long. */
export function run(of: Schedule, occurrence: string, changes: Partial<PastRun> = {}): PastRun {
  const startedAt = changes.startedAt ?? at(occurrence);
  count += 1;
  return {
    runId: `run-${count}`,
    kind: of.kind,
    ...(of.type === undefined ? {} : { type: of.type }),
    repositories: [LOCAL],
    trigger: { kind: 'schedule', name: of.name, occurrence: at(occurrence) },
    startedAt,
    attempts: 1,
    state: { kind: 'succeeded', endedAt: (startedAt + 60_000_000n) as Instant },
    ...changes,
  };
}

export function failed(endedAt: string, retry: 'transient' | 'alternative' | 'none' = 'transient'): RunState {
  return { kind: 'failed', endedAt: at(endedAt), code: retry === 'none' ? 'DISK_FULL' : 'TIMED_OUT', retry };
}

/** The decision of a daemon that has known its schedules since the beginning of November 2026. */
export function decide(now: string, schedules: readonly Schedule[], changes: Partial<ScheduleFacts> = {}): ScheduleDecision {
  return decideWhatIsDue({
    cluster: 'main',
    engines: new Map(),
    schedules,
    firstSeen: Object.fromEntries(schedules.map((one) => [scheduleIdentity(one), at('2026-11-01 00:00')])),
    runs: [],
    repositories: [],
    now: at(now),
    ...changes,
  });
}
