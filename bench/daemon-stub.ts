import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterWork, ObservedFacts } from '../src/daemon/cluster-work.ts';
import { Daemon } from '../src/daemon/daemon.ts';
import { keepMemorySmall } from '../src/daemon/memory.ts';
import type { RepositoryName } from '../src/domain/catalog/base-backup.ts';
import { parseCronPattern } from '../src/domain/schedule/cron-pattern.ts';
import type { PastRun } from '../src/domain/schedule/past-run.ts';
import type { Schedule } from '../src/domain/schedule/schedule.ts';
import { addMicros, instantOfMillis } from '../src/domain/time/instant.ts';
import { SpokeError } from '../src/errors.ts';
import type { Clock } from '../src/ports/clock.ts';

/**
 * A daemon whose clusters only exist in memory, for bench/daemon.ts: `node daemon-stub.js <clusters> <seconds> <speed>`. With a speed
 * its clock goes faster than ours. Prints what it took between its first and its last second as JSON.
 */
const [clusters = 1, seconds = 10, speed = 1] = process.argv.slice(2).map(Number);
const REPOSITORIES = ['local', 's3'] as RepositoryName[];
const STEP_MICROS = 6n * 3_600_000_000n;
/** A week of what the shipped schedules do: what an actor looks at each time. */
const RUNS_BACK = 56;

function schedule(name: string, cron: string, kind: Schedule['kind'], type?: Schedule['type']): Schedule {
  const parsed = parseCronPattern(cron);
  if (parsed.kind === 'refused') throw new SpokeError('INTERNAL', parsed.fault);
  return {
    ...{ name, kind, pattern: parsed.pattern, timezone: 'Europe/Paris', repositories: REPOSITORIES, expireAfterBackup: false },
    ...{ jitterSeconds: 600, blackouts: [], suspended: false },
    ...(type === undefined ? {} : { type }),
  };
}

const SCHEDULES = [
  schedule('daily-full', '0 2 * * *', 'backup', 'full'),
  schedule('incremental', '0 */6 * * *', 'backup', 'incr'),
  schedule('weekly-verify', '0 4 * * 0', 'verify'),
];

keepMemorySmall();

/** Whatever is due has been done at once. */
class StubWork implements ClusterWork {
  readonly schedules = SCHEDULES;
  readonly runs: PastRun[] = [];
  readonly cluster: string;
  readonly host: string;

  constructor(name: string) {
    this.cluster = name;
    this.host = name;
    const now = instantOfMillis(Date.now());
    for (let back = RUNS_BACK; back > 0; back -= 1)
      this.#remember(addMicros(now, -STEP_MICROS * BigInt(back)), back % 4 === 0 ? 'daily-full' : 'incremental');
  }

  #remember(at: PastRun['startedAt'], name: string): void {
    for (const repository of REPOSITORIES)
      this.runs.push({
        ...{
          runId: `${this.cluster}-${this.runs.length}`,
          kind: 'backup',
          type: name === 'daily-full' ? 'full' : 'incr',
          repositories: [repository],
        },
        ...{ trigger: { kind: 'schedule', name, occurrence: at }, startedAt: at, attempts: 1, state: { kind: 'succeeded', endedAt: at } },
      });
  }

  shipWal(): Promise<void> {
    return Promise.resolve();
  }

  takeOffice = () => Promise.resolve({ lost: new AbortController().signal, ensureGood: () => undefined, release: () => Promise.resolve() });
  prepare = () => Promise.resolve();
  watch = () => Promise.resolve();
  loadFirstSeen = () => Promise.resolve({});
  saveFirstSeen = () => Promise.resolve();
  observe = (): Promise<ObservedFacts> => {
    looks += 1;
    return Promise.resolve({ engines: new Map(), runs: this.runs, repositories: [] });
  };
  execute: ClusterWork['execute'] = (run) => {
    const at = clock.now();
    const runId = `${this.cluster}-${this.runs.length}`;
    this.runs.push({
      runId,
      kind: run.kind,
      repositories: run.repositories,
      trigger: run.trigger,
      startedAt: at,
      attempts: 1,
      state: { kind: 'succeeded', endedAt: at },
    });
    this.runs.splice(0, Math.max(0, this.runs.length - 2 * RUNS_BACK));
    return Promise.resolve({ runId, outcome: 'succeeded' });
  };
}

const startedMs = Date.now();
const clock: Clock = {
  now: () => instantOfMillis(startedMs + (Date.now() - startedMs) * speed),
  monotonicMs: () => performance.now() * speed,
  sleep: (ms, signal) => delay(ms / speed, undefined, { signal }),
};
let looks = 0;
const works = Array.from({ length: clusters }, (_, index) => new StubWork(`cluster-${index}`));
const stop = new AbortController();
const daemon = new Daemon({
  clock,
  say: () => undefined,
  load: () =>
    Promise.resolve({ clusters: works.map((work) => ({ work, fingerprint: '' })), limits: { inAll: 4, perHost: 1 }, graceMs: 1000 }),
  lifecycle: { ready: () => undefined, reloading: () => undefined, stopping: () => undefined },
});
const running = daemon.run(stop.signal);
await delay(1000);
const [cpu, looksBefore] = [process.cpuUsage(), looks];
await delay(seconds * 1000);
const { user, system } = process.cpuUsage(cpu);
process.stdout.write(
  `${JSON.stringify({ rssBytes: process.memoryUsage.rss(), cpuSeconds: (user + system) / 1e6, looks: looks - looksBefore })}\n`,
);
stop.abort(new SpokeError('TERMINATED', 'measured'));
await running;
