import type { ClusterWork, ObservedFacts, RunEnd, Tenure } from '../../../src/daemon/cluster-work.ts';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { parseCronPattern } from '../../../src/domain/schedule/cron-pattern.ts';
import type { DueRun } from '../../../src/domain/schedule/due-run.ts';
import type { PastRun } from '../../../src/domain/schedule/past-run.ts';
import type { FirstSeen, Schedule } from '../../../src/domain/schedule/schedule.ts';
import { asSpokeError, SpokeError } from '../../../src/errors.ts';
import type { Clock } from '../../../src/ports/clock.ts';

export const LOCAL = 'local' as RepositoryName;

export function schedule(changes: Partial<Omit<Schedule, 'pattern'>> & { readonly cron?: string } = {}): Schedule {
  const { cron = '* * * * *', ...rest } = changes;
  const parsed = parseCronPattern(cron);
  if (parsed.kind === 'refused') throw new Error(parsed.fault);
  return {
    ...{ name: 'every-minute', kind: 'verify', pattern: parsed.pattern, timezone: 'Etc/UTC', repositories: [LOCAL] },
    ...{ expireAfterBackup: false, jitterSeconds: 0, blackouts: [], suspended: false },
    ...rest,
  };
}

/** A cluster that remembers its runs, and of which a test decides how long they take and how they end. */
export class FakeWork implements ClusterWork {
  readonly cluster: string;
  readonly schedules: readonly Schedule[];
  readonly host: string;
  readonly runs: PastRun[] = [];
  readonly begun: DueRun[] = [];
  runMs = 10_000;
  observeError: SpokeError | undefined;
  /** Of the next attempt alone. */
  prepareError: SpokeError | undefined;
  underWay = 0;
  tenures = 0;
  /** Aborts what the tenure that is held now calls lost. */
  loseOffice: () => void = () => undefined;
  firstSeen: FirstSeen = {};
  readonly #clock: Clock;

  constructor(
    cluster: string,
    clock: Clock,
    { schedules = [schedule()], host = cluster }: { schedules?: readonly Schedule[]; host?: string } = {},
  ) {
    this.cluster = cluster;
    this.schedules = schedules;
    this.host = host;
    this.#clock = clock;
  }

  shipWal(): Promise<void> {
    return Promise.resolve();
  }

  takeOffice(): Promise<Tenure> {
    const lost = new AbortController();
    this.tenures += 1;
    this.loseOffice = () => lost.abort(new SpokeError('LOCKED', 'another has it'));
    return Promise.resolve({
      lost: lost.signal,
      ensureGood: () => lost.signal.throwIfAborted(),
      release: () => {
        this.tenures -= 1;
        return Promise.resolve();
      },
    });
  }

  prepare(): Promise<void> {
    const error = this.prepareError;
    this.prepareError = undefined;
    return error === undefined ? Promise.resolve() : Promise.reject(error);
  }

  watch(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  }

  observe(): Promise<ObservedFacts> {
    if (this.observeError !== undefined) return Promise.reject(this.observeError);
    return Promise.resolve({ engines: new Map(), runs: [...this.runs], repositories: [] });
  }

  async execute(run: DueRun, signal: AbortSignal): Promise<RunEnd> {
    const runId = run.resumes?.runId ?? `${this.cluster}-${this.begun.length + 1}`;
    this.begun.push(run);
    this.underWay += 1;
    const past = { runId, kind: run.kind, repositories: run.repositories, trigger: run.trigger, startedAt: this.#clock.now(), attempts: 1 };
    const index = this.runs.push({ ...past, state: { kind: 'running' } }) - 1;
    try {
      await this.#clock.sleep(this.runMs, signal);
      this.runs[index] = { ...past, state: { kind: 'succeeded', endedAt: this.#clock.now() } };
      return { runId, outcome: 'succeeded' };
    } catch (thrown) {
      const { code, message, hint } = asSpokeError(thrown);
      this.runs[index] = { ...past, state: { kind: 'interrupted' } };
      return { runId, outcome: 'cancelled', error: { code, message, hint } };
    } finally {
      this.underWay -= 1;
    }
  }

  loadFirstSeen(): Promise<FirstSeen> {
    return Promise.resolve(this.firstSeen);
  }

  saveFirstSeen(firstSeen: FirstSeen): Promise<void> {
    this.firstSeen = firstSeen;
    return Promise.resolve();
  }
}
