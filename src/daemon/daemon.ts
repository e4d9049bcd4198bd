import type { Schedule } from '../domain/schedule/schedule.ts';
import { asSpokeError, type SpokeError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import { ClusterActor } from './cluster-actor.ts';
import { watchClock } from './clock-watch.ts';
import type { ClusterWork } from './cluster-work.ts';
import { CronWakers } from './cron-wakers.ts';
import type { DaemonEventSink } from './events.ts';
import { type RunLimits, RunSlots } from './run-slots.ts';

/** What a configuration makes of the daemon. */
export interface DaemonSetup {
  readonly clusters: readonly DaemonCluster[];
  readonly limits: RunLimits;
  /** How long runs may go on once the daemon is asked to end. */
  readonly graceMs: number;
}

export interface DaemonCluster {
  readonly work: ClusterWork;
  /** Of everything in the configuration that concerns it: where it is the same, its actor stays. */
  readonly fingerprint: string;
}

export interface DaemonParts {
  readonly clock: Clock;
  readonly say: DaemonEventSink;
  /** Throws CONFIG_INVALID and the like; what was loaded before stays in force then. */
  load(): Promise<DaemonSetup>;
  /** What somebody supervises us with; each is told when it is so. */
  readonly lifecycle: { ready(): void; reloading(): void; stopping(): void };
}

interface Kept {
  readonly cluster: DaemonCluster;
  readonly actor: ClusterActor;
}

/** An actor for each cluster of the configuration. */
export class Daemon {
  readonly #parts: DaemonParts;
  /** Aborted when runs are to end, too. */
  readonly #ending = new AbortController();
  readonly #kept = new Map<string, Kept>();
  /** Those whose cluster has changed or gone, with a run that is still under way. */
  readonly #retiring = new Set<Promise<void>>();
  #setup: DaemonSetup | undefined;
  #slots = new RunSlots({ inAll: 1, perHost: 1 });
  #wakers: CronWakers | undefined;
  #changing: Promise<void> = Promise.resolve();
  #isStopping = false;

  constructor(parts: DaemonParts) {
    this.#parts = parts;
  }

  /** Runs until `stop` aborts, then lets what is under way end within the grace period. Throws where the first configuration is refused. */
  async run(stop: AbortSignal): Promise<void> {
    const { clock, say, lifecycle } = this.#parts;
    await this.#apply(await this.#parts.load());
    lifecycle.ready();
    const watching = watchClock(clock, stop, (seconds) => {
      say({ kind: 'clock-jumped', seconds });
      this.#wakeAll();
    });
    await aborted(stop);
    this.#isStopping = true;
    await watching;
    await this.#changing;
    await this.#stop(asSpokeError(stop.reason));
  }

  /** Takes the configuration as it is on disk now, or goes on with the one that is in force and says why. */
  reload(): Promise<void> {
    this.#changing = this.#changing.then(() => this.#reload());
    return this.#changing;
  }

  async #reload(): Promise<void> {
    if (this.#isStopping) return;
    const { say, lifecycle, load } = this.#parts;
    lifecycle.reloading();
    try {
      await this.#apply(await load());
    } catch (thrown) {
      say({ kind: 'configuration-refused', message: asSpokeError(thrown).message });
    }
    lifecycle.ready();
  }

  async #apply(setup: DaemonSetup): Promise<void> {
    const wanted = new Map(setup.clusters.map((cluster) => [cluster.work.cluster, cluster]));
    const isKept = (name: string) => this.#kept.get(name)?.cluster.fingerprint === wanted.get(name)?.fingerprint;
    const gone = [...this.#kept.keys()].filter((name) => !wanted.has(name));
    const fresh = [...wanted.values()].filter(({ work }) => !isKept(work.cluster));
    if (!sameLimits(setup.limits, this.#setup?.limits)) this.#slots = new RunSlots(setup.limits);
    this.#setup = setup;
    await this.#wakers?.stop();
    this.#wakers = await CronWakers.start(
      setup.clusters.flatMap(({ work }) => work.schedules),
      (pattern, timezone) => this.#wakeThose((schedule) => schedule.pattern.text === pattern && schedule.timezone === timezone),
    );
    for (const name of gone) this.#replace(name, undefined);
    for (const cluster of fresh) this.#replace(cluster.work.cluster, cluster);
    this.#parts.say({ kind: 'configuration-loaded', clusters: wanted.size, changed: [...gone, ...fresh.map(({ work }) => work.cluster)] });
  }

  /** The run that is under way ends as it began; only then does the successor take over. */
  #replace(name: string, successor: DaemonCluster | undefined): void {
    const before = this.#kept.get(name)?.actor;
    const { clock, say } = this.#parts;
    const actor = successor && new ClusterActor(successor.work, { clock, slots: this.#slots, say });
    if (successor !== undefined && actor !== undefined) this.#kept.set(name, { cluster: successor, actor });
    else this.#kept.delete(name);
    const begin = () => {
      if (actor !== undefined && this.#kept.get(name)?.actor === actor) actor.start(this.#ending.signal);
    };
    if (before === undefined) begin();
    else this.#retire(before, begin);
  }

  #retire(actor: ClusterActor, then: () => void): void {
    const retiring = actor.retire().then(() => {
      this.#retiring.delete(retiring);
      then();
    });
    this.#retiring.add(retiring);
  }

  async #stop(reason: SpokeError): Promise<void> {
    const graceMs = this.#setup?.graceMs ?? 0;
    const actors = [...this.#kept.values()].map(({ actor }) => actor);
    const running = actors.filter((actor) => actor.running !== undefined).length;
    this.#parts.lifecycle.stopping();
    this.#parts.say({ kind: 'stopping', graceSeconds: graceMs / 1000, running });
    await this.#wakers?.stop();
    const allEnded = new AbortController();
    void this.#parts.clock.sleep(graceMs, allEnded.signal).then(
      () => this.#ending.abort(reason),
      () => undefined,
    );
    this.#kept.clear();
    await Promise.all([...this.#retiring, ...actors.map((actor) => actor.retire())]);
    allEnded.abort();
  }

  #wakeAll(): void {
    this.#wakeThose(() => true);
  }

  #wakeThose(isMeant: (schedule: Schedule) => boolean): void {
    for (const { actor } of this.#kept.values()) if (actor.work.schedules.some(isMeant)) actor.wake();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function sameLimits(one: RunLimits, other: RunLimits | undefined): boolean {
  return one.inAll === other?.inAll && one.perHost === other.perHost;
}
