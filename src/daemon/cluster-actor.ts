import { decideWhatIsDue, type ScheduleDecision } from '../domain/schedule/decide.ts';
import type { DueRun, PassedOver } from '../domain/schedule/due-run.ts';
import type { FirstSeen } from '../domain/schedule/schedule.ts';
import type { Instant } from '../domain/time/instant.ts';
import { asSpokeError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import { Alarm } from './alarm.ts';
import type { ClusterWork, Tenure } from './cluster-work.ts';
import type { DaemonEventSink } from './events.ts';
import type { RunSlots } from './run-slots.ts';

export interface ActorParts {
  readonly clock: Clock;
  readonly slots: RunSlots;
  readonly say: DaemonEventSink;
}

/** It is looked again at least so often: a backup by hand, another configuration of the server and a clock that jumped show then. */
const LONGEST_PAUSE_MS = 60_000;
const RETRY_MS = [5_000, 15_000, 60_000] as const;

/**
 * Keeps one cluster: takes office, then decides again and again what is due and has it done, one run at a time. Ends when it is
 * told to retire, with the run that is under way, or when `signal` aborts, which ends that run too.
 */
export class ClusterActor {
  readonly work: ClusterWork;
  readonly #parts: ActorParts;
  readonly #alarm: Alarm;
  readonly #retired = new AbortController();
  readonly #said = new Map<string, Instant>();
  #firstSeen: FirstSeen = {};
  #running: DueRun | undefined;
  #failures = 0;
  #endedBadly = 0;
  #ended: Promise<void> = Promise.resolve();

  constructor(work: ClusterWork, parts: ActorParts) {
    this.work = work;
    this.#parts = parts;
    this.#alarm = new Alarm(parts.clock);
  }

  /** What is being done now. */
  get running(): DueRun | undefined {
    return this.#running;
  }

  start(signal: AbortSignal): void {
    this.#ended = this.#live(signal);
  }

  /** Something may be due. */
  wake(): void {
    this.#alarm.ring();
  }

  /** Begins nothing any more. Resolves when the run that is under way has ended. */
  retire(): Promise<void> {
    this.#retired.abort();
    return this.#ended;
  }

  async #live(signal: AbortSignal): Promise<void> {
    const until = AbortSignal.any([signal, this.#retired.signal]);
    const isOver = () => until.aborted;
    const shipping = this.work.shipWal(until);
    while (!isOver()) {
      try {
        await this.#oneTenure(signal, until);
      } catch (thrown) {
        if (!isOver()) await this.#alarm.sleep(this.#failed(thrown), until);
      }
    }
    await shipping;
  }

  async #oneTenure(signal: AbortSignal, until: AbortSignal): Promise<void> {
    const { cluster } = this.work;
    this.#parts.say({ kind: 'standing-by', cluster });
    const tenure = await this.work.takeOffice(until);
    this.#parts.say({ kind: 'in-office', cluster });
    const ofTenure = AbortSignal.any([until, tenure.lost]);
    // Also over when what comes before the first look has failed: the lease is given back then.
    const over = new AbortController();
    const watching = this.work.watch(AbortSignal.any([ofTenure, over.signal]), () => this.wake());
    try {
      await this.work.prepare(ofTenure);
      this.#firstSeen = await this.work.loadFirstSeen();
      while (!ofTenure.aborted) {
        const pauseMs = await this.#turn(tenure, signal, ofTenure).catch((thrown: unknown) => this.#failed(thrown));
        await this.#alarm.sleep(pauseMs, ofTenure);
      }
      if (tenure.lost.aborted) this.#parts.say({ kind: 'office-lost', cluster, message: asSpokeError(tenure.lost.reason).message });
    } finally {
      over.abort();
      await watching;
      await tenure.release();
    }
  }

  /** Looks, decides, does one thing. Resolves with how long nothing is to be done. */
  async #turn(tenure: Tenure, signal: AbortSignal, until: AbortSignal): Promise<number> {
    const { clock, slots, say } = this.#parts;
    const { cluster, host } = this.work;
    const decision = await this.#decide(until);
    this.#failures = 0;
    for (const passed of decision.passedOver) this.#sayOnce(passed);
    const run = decision.start;
    if (run === undefined) return pauseUntil(decision.wakeAt, clock.now());
    const lasting = AbortSignal.any([signal, tenure.lost]);
    await slots.use(host, until, async () => {
      tenure.ensureGood();
      this.#running = run;
      say({ kind: 'run-due', cluster, run });
      const end = await this.work.execute(run, lasting).finally(() => (this.#running = undefined));
      say({ kind: 'run-ended', cluster, run, end });
      // What failed has its turn by the decision; this is for what fails before it has a journal.
      this.#endedBadly = end.outcome === 'succeeded' ? 0 : this.#endedBadly + 1;
    });
    return this.#endedBadly === 0 ? 0 : backoffMs(this.#endedBadly - 1);
  }

  async #decide(signal: AbortSignal): Promise<ScheduleDecision> {
    const observed = await this.work.observe(signal);
    const { cluster, schedules } = this.work;
    const decision = decideWhatIsDue({ ...observed, cluster, schedules, firstSeen: this.#firstSeen, now: this.#parts.clock.now() });
    if (!sameInstants(decision.firstSeen, this.#firstSeen)) {
      await this.work.saveFirstSeen(decision.firstSeen);
      this.#firstSeen = decision.firstSeen;
    }
    return decision;
  }

  /** The same decision comes again until the run of that occurrence is done. */
  #sayOnce(passed: PassedOver): void {
    const key = `${passed.schedule}|${passed.repository ?? ''}`;
    if (this.#said.get(key) === passed.occurrence) return;
    this.#said.set(key, passed.occurrence);
    this.#parts.say({ kind: 'passed-over', cluster: this.work.cluster, passed });
  }

  #failed(thrown: unknown): number {
    const { code, message } = asSpokeError(thrown);
    const retryAfterMs = backoffMs(this.#failures);
    this.#failures += 1;
    this.#parts.say({ kind: 'observing-failed', cluster: this.work.cluster, code, message, retryAfterMs });
    return retryAfterMs;
  }
}

function backoffMs(failures: number): number {
  return RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] ?? LONGEST_PAUSE_MS;
}

function pauseUntil(wakeAt: Instant | undefined, now: Instant): number {
  if (wakeAt === undefined) return LONGEST_PAUSE_MS;
  const ms = Number((wakeAt - now) / 1000n) + 1;
  return Math.min(LONGEST_PAUSE_MS, Math.max(1, ms));
}

function sameInstants(one: FirstSeen, other: FirstSeen): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}
