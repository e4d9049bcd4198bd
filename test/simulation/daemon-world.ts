import type { BackupType, RepositoryName } from '../../src/domain/catalog/base-backup.ts';
import { type TimelineId, timelineIdOf } from '../../src/domain/postgres/timeline.ts';
import { learnReplayRate } from '../../src/domain/recovery/estimate.ts';
import { decideWhatIsDue, type ScheduleDecision } from '../../src/domain/schedule/decide.ts';
import type { DueRun } from '../../src/domain/schedule/due-run.ts';
import type { EnginesByRepository } from '../../src/domain/schedule/engine-facts.ts';
import type { RepositoryFacts } from '../../src/domain/schedule/early.ts';
import type { PastRun, RunState } from '../../src/domain/schedule/past-run.ts';
import type { FirstSeen, Schedule } from '../../src/domain/schedule/schedule.ts';
import { type Instant, instantOfSeconds } from '../../src/domain/time/instant.ts';

/** Something that befalls the cluster. Times are true seconds since the epoch, whatever the clock of the machine shows. */
export type Blow = {
  readonly at: number;
} /** The daemon is killed, and begins anew after `seconds`. `isTaken`: the backup that it was taking is whole all the same. */ & (
  | { readonly kind: 'off'; readonly seconds: number; readonly isTaken: boolean }
  | { readonly kind: 'outage'; readonly seconds: number; readonly repository: number }
  /** The clock of the machine is so many seconds ahead. */
  | { readonly kind: 'jump'; readonly seconds: number; readonly aheadSeconds: number }
  /** The next run takes so long. */
  | { readonly kind: 'slow'; readonly seconds: number }
  /** The next run fails. */
  | { readonly kind: 'fault'; readonly seconds: 0; readonly retry: 'transient' | 'none' }
  /** Every backup that ends in it fails. */
  | { readonly kind: 'barren'; readonly seconds: number }
  | { readonly kind: 'failover'; readonly seconds: 0 }
);

/** A backup in a repository. */
export interface StoredBackup {
  readonly runId: string;
  readonly type: BackupType;
  readonly timeline: TimelineId;
  /** By the clock of the machine. */
  readonly startedAt: Instant;
  readonly endedAt: Instant;
  /** When the copy itself began, by the clock of the machine: the run may have begun long before. */
  readonly copiedFrom: Instant;
  /** True seconds. */
  readonly trueStart: number;
  readonly trueEnd: number;
}

type WorldRun = { -readonly [Key in keyof PastRun]: PastRun[Key] };

interface Running {
  readonly run: WorldRun;
  readonly startedAt: number;
  readonly clockAtStart: Instant;
  readonly endsAt: number;
}

export interface WorldOptions {
  readonly schedules: readonly Schedule[];
  readonly repositories: readonly RepositoryName[];
  readonly start: number;
  readonly blows: readonly Blow[];
  /** What an expire that ended well does to a repository. */
  readonly expire?: (repository: RepositoryName, world: DaemonWorld) => void;
  /** Whether a backup fails that would not be later than the newest one by the clock of the machine, as pgBackRest has it. */
  readonly refusesEarlier?: boolean;
  /** What is known of their engines; absent: nothing special. */
  readonly engines?: EnginesByRepository;
  /** Sees each decision, before anything is done about it. */
  readonly watch?: (decision: ScheduleDecision, world: DaemonWorld) => void;
}

const USUAL_SECONDS: Readonly<Record<BackupType, number>> = { full: 1800, diff: 600, incr: 240 };
/** Of each schedule and repository, so that stories are told fast; beside them all runs from when the clock was wrong. */
const RUNS_REMEMBERED = 6;

/** A cluster with its daemon, its repositories and its clock. Time passes from one event to the next. */
export class DaemonWorld {
  readonly options: WorldOptions;
  readonly backups: ReadonlyMap<RepositoryName, StoredBackup[]>;
  /** What was begun: never more than one for the same schedule, occurrence, repository and kind. */
  readonly begun: { readonly due: DueRun; readonly at: Instant }[] = [];
  /** When the newest backup run failed, by the clock of the machine; nothing where it did not. */
  readonly failedAt = new Map<RepositoryName, Instant>();
  now: number;
  timeline = timelineIdOf(1);
  aheadSeconds = 0;
  #upFrom = 0;
  #runs: WorldRun[] = [];
  /** By run: the repositories whose step of a backup has ended well, and when. */
  readonly #doneIn = new Map<string, Map<RepositoryName, Instant>>();
  readonly #unforgotten = new Set<PastRun>();
  #running: Running | undefined;
  #firstSeen: FirstSeen = {};
  #slowSeconds: number | undefined;
  #fault: 'transient' | 'none' | undefined;
  #barrenUntil = 0;
  readonly #downUntil = new Map<RepositoryName, number>();
  readonly #ends: { readonly at: number; readonly end: () => void }[] = [];
  #count = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    this.now = options.start;
    this.backups = new Map(options.repositories.map((name) => [name, []]));
  }

  /** What the clock of the machine shows. */
  clock(): Instant {
    return instantOfSeconds(this.now + this.aheadSeconds);
  }

  get isIdle(): boolean {
    return this.#running === undefined;
  }

  /** Lets time pass until then; the daemon looks around first. */
  liveUntil(end: number): void {
    const blows = this.options.blows.filter((blow) => blow.at >= this.now && blow.at < end);
    for (const blow of blows) {
      this.#passUntil(blow.at);
      this.#befall(blow);
    }
    this.#passUntil(end);
  }

  #passUntil(end: number): void {
    while (this.now < end) {
      const wakeAt = this.now < this.#upFrom ? this.#upFrom : this.#work();
      const next = Math.min(end, wakeAt, this.#running?.endsAt ?? Infinity, ...this.#ends.map(({ at }) => at));
      this.now = Math.max(next, this.now);
      if (this.#running !== undefined && this.#running.endsAt <= this.now) this.#finish(this.#running);
      for (const passed of this.#ends.filter(({ at }) => at <= this.now)) {
        passed.end();
        this.#ends.splice(this.#ends.indexOf(passed), 1);
      }
    }
  }

  /** What the daemon does when it wakes; tells when it wakes next. */
  #work(): number {
    if (this.#running !== undefined) return Infinity;
    const decision = this.decide();
    this.options.watch?.(decision, this);
    if (decision.start !== undefined) {
      this.#begin(decision.start);
      return Infinity;
    }
    const { wakeAt } = decision;
    return wakeAt === undefined ? Infinity : Math.max(this.now + 1, Math.ceil(Number(wakeAt) / 1e6) - this.aheadSeconds);
  }

  /** As the daemon would decide now. */
  decide(): ScheduleDecision {
    const decision = decideWhatIsDue({
      cluster: 'main',
      engines: this.options.engines ?? new Map(),
      schedules: this.options.schedules,
      firstSeen: this.#firstSeen,
      runs: this.#runs.flatMap((run) => this.#byRepository(run)),
      repositories: this.#repositoryFacts(),
      timeline: this.timeline,
      now: this.clock(),
    });
    this.#firstSeen = decision.firstSeen;
    return decision;
  }

  /** As the journals tell: where a backup into several is not done in all of them, it is done where a step says so. */
  #byRepository(run: WorldRun): readonly PastRun[] {
    const steps = this.#doneIn.get(run.runId) ?? new Map<RepositoryName, Instant>();
    if (steps.size === 0 || (run.state.kind !== 'failed' && run.state.kind !== 'interrupted')) return [run];
    const done = [...steps].map(([name, endedAt]): PastRun => ({ ...run, repositories: [name], state: { kind: 'succeeded', endedAt } }));
    return [...done, { ...run, repositories: run.repositories.filter((name) => !steps.has(name)) }];
  }

  #repositoryFacts(): readonly RepositoryFacts[] {
    return [...this.backups].flatMap(([name, backups]) => {
      if (this.isDown(name)) return [];
      const last = backups.at(-1);
      const lastBackup = last && { ...last, databaseBytes: 0n };
      return [{ name, kind: 'local', readAt: this.clock(), replayRate: learnReplayRate('local', []), ...(lastBackup && { lastBackup }) }];
    });
  }

  #begin(due: DueRun): void {
    const before = this.#runs.find((run) => run.runId === due.resumes?.runId);
    if (before === undefined) this.begun.push({ due, at: this.clock() });
    const run = before ?? this.#newRun(due);
    if (before !== undefined) before.attempts += 1;
    run.state = { kind: 'running' };
    const usual = USUAL_SECONDS[due.type ?? 'incr'];
    const isThere = this.#isWhole(run);
    const seconds = isThere ? 5 : this.#downRepository(run) !== undefined ? 30 : (this.#slowSeconds ?? usual);
    if (!isThere) this.#slowSeconds = undefined;
    this.#running = { run, startedAt: this.now, clockAtStart: this.clock(), endsAt: this.now + seconds };
  }

  #newRun(due: DueRun): WorldRun {
    this.#count += 1;
    const { kind, type, repositories, trigger } = due;
    const run: WorldRun = {
      runId: `run-${this.#count}`,
      kind,
      ...(type === undefined ? {} : { type }),
      repositories,
      trigger,
      startedAt: this.clock(),
      attempts: 1,
      state: { kind: 'running' },
    };
    this.#runs.push(run);
    this.#forgetOldRuns(run);
    return run;
  }

  #forgetOldRuns(newest: PastRun): void {
    if (this.aheadSeconds !== 0) this.#unforgotten.add(newest);
    const alike = this.#runs.filter((run) => !this.#unforgotten.has(run) && keyOf(run) === keyOf(newest));
    if (alike.length > RUNS_REMEMBERED) this.#runs.splice(this.#runs.indexOf(alike[0] as WorldRun), 1);
  }

  #finish(running: Running): void {
    const { run } = running;
    this.#running = undefined;
    run.state = this.#stateAtEnd(running);
    if (run.kind === 'backup' && run.state.kind === 'failed') this.#takeWhereItCanBe(running, run.state);
    if (run.state.kind !== 'succeeded') return;
    if (run.kind === 'backup') this.#store(running);
    if (run.kind === 'expire') for (const repository of run.repositories) this.options.expire?.(repository, this);
  }

  /** A repository that is down keeps the backup from no other one. */
  #takeWhereItCanBe(running: Running, state: Extract<RunState, { kind: 'failed' }>): void {
    const { run } = running;
    const isAboutOne = state.code === 'REPOSITORY_UNAVAILABLE';
    for (const repository of run.repositories) {
      if (this.#backupOf(run, repository) === undefined && isAboutOne && !this.isDown(repository)) this.#storeIn(repository, running);
      if (this.#backupOf(run, repository) === undefined) this.failedAt.set(repository, state.endedAt);
      else this.#note(run, repository);
    }
  }

  #note({ runId }: PastRun, repository: RepositoryName): void {
    const known = this.#doneIn.get(runId) ?? new Map<RepositoryName, Instant>();
    if (!known.has(repository)) known.set(repository, this.clock());
    this.#doneIn.set(runId, known);
  }

  #stateAtEnd({ run, clockAtStart }: Running): RunState {
    const endedAt = this.clock();
    if (this.#isWhole(run)) return { kind: 'succeeded', endedAt };
    if (run.kind === 'backup' && (this.now < this.#barrenUntil || this.#isEarlier(run, clockAtStart)))
      return { kind: 'failed', endedAt, code: 'TOOL_FAILED', retry: 'none' };
    if (this.#downRepository(run) !== undefined) return { kind: 'failed', endedAt, code: 'REPOSITORY_UNAVAILABLE', retry: 'alternative' };
    const fault = this.#fault;
    this.#fault = undefined;
    if (fault !== undefined) return { kind: 'failed', endedAt, code: fault === 'none' ? 'TOOL_FAILED' : 'TIMED_OUT', retry: fault };
    return { kind: 'succeeded', endedAt };
  }

  #isEarlier(run: PastRun, clockAtStart: Instant): boolean {
    if (this.options.refusesEarlier !== true) return false;
    const left = run.repositories.filter((repository) => this.#backupOf(run, repository) === undefined);
    return left.some((repository) => clockAtStart <= (this.backups.get(repository)?.at(-1)?.copiedFrom ?? -1n));
  }

  #store(running: Running): void {
    for (const repository of running.run.repositories)
      if (this.#backupOf(running.run, repository) === undefined) this.#storeIn(repository, running);
      else this.failedAt.delete(repository);
  }

  #storeIn(repository: RepositoryName, { run, startedAt: trueStart, clockAtStart: copiedFrom }: Running): void {
    const { runId, type = 'incr', startedAt } = run;
    const times = { startedAt, endedAt: this.clock(), copiedFrom, trueStart, trueEnd: this.now };
    this.failedAt.delete(repository);
    this.backups.get(repository)?.push({ runId, type, timeline: this.timeline, ...times });
  }

  #backupOf({ runId }: PastRun, repository: RepositoryName): StoredBackup | undefined {
    return this.backups
      .get(repository)
      ?.slice(-5)
      .find((one) => one.runId === runId);
  }

  #isWhole(run: PastRun): boolean {
    return run.kind === 'backup' && run.repositories.every((repository) => this.#backupOf(run, repository) !== undefined);
  }

  isDown(repository: RepositoryName): boolean {
    return (this.#downUntil.get(repository) ?? 0) > this.now;
  }

  #downRepository(run: PastRun): RepositoryName | undefined {
    return run.repositories.find((repository) => this.isDown(repository) && this.#backupOf(run, repository) === undefined);
  }

  #befall(blow: Blow): void {
    switch (blow.kind) {
      case 'off':
        return this.#turnOff(blow.seconds, blow.isTaken);
      case 'outage': {
        const names = this.options.repositories;
        const name = names[blow.repository % names.length] as RepositoryName;
        this.#downUntil.set(name, this.now + blow.seconds);
        return;
      }
      case 'jump':
        this.aheadSeconds = blow.aheadSeconds;
        this.#ends.push({ at: this.now + blow.seconds, end: () => (this.aheadSeconds = 0) });
        return;
      case 'slow':
        this.#slowSeconds = blow.seconds;
        return;
      case 'fault':
        this.#fault = blow.retry;
        return;
      case 'barren':
        this.#barrenUntil = Math.max(this.#barrenUntil, this.now + blow.seconds);
        return;
      case 'failover':
        this.timeline = timelineIdOf(this.timeline + 1);
    }
  }

  #turnOff(seconds: number, isTaken: boolean): void {
    this.#upFrom = Math.max(this.#upFrom, this.now + seconds);
    if (this.#running === undefined) return;
    const running = this.#running;
    const { run, clockAtStart } = running;
    this.#running = undefined;
    run.state = { kind: 'interrupted' };
    const isWhole = isTaken && run.kind === 'backup' && this.#downRepository(run) === undefined;
    if (isWhole && this.now >= this.#barrenUntil && !this.#isEarlier(run, clockAtStart)) this.#store(running);
  }
}

function keyOf({ kind, trigger, repositories }: PastRun): string {
  return `${kind} ${trigger.kind === 'schedule' ? trigger.name : trigger.kind} ${repositories.join(' ')}`;
}
