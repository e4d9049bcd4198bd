import { hostname, userInfo } from 'node:os';
import { composeCluster, type ComposedCluster, createSystemClock } from '../composition.ts';
import { composeScheduleStore } from '../composition-daemon.ts';
import type { ClusterConfig, Configuration } from '../config/model.ts';
import type { DueRun } from '../domain/schedule/due-run.ts';
import type { FirstSeen, Schedule } from '../domain/schedule/schedule.ts';
import { keepWithinBounds, rebuildHistory } from '../engine/history.ts';
import { acquireLeases } from '../engine/leases.ts';
import { abortWhenAsked } from '../engine/watch-cancel.ts';
import { asSpokeError, SpokeError } from '../errors.ts';
import type { RunHeader, RunId } from '../ports/run-store.ts';
import type { ScheduleStore } from '../ports/schedule-store.ts';
import type { EventSink } from '../telemetry/events.ts';
import { observeRepositories } from '../workflows/observe-cluster.ts';
import { type EarlyObservation, observeForSchedules } from '../workflows/schedule/observe.ts';
import { ArchiveWatch, type WatchParts } from './archive-watch.ts';
import type { ClusterWork, ObservedFacts, RunEnd, Tenure } from './cluster-work.ts';
import { intentOf } from './due-intent.ts';
import type { DaemonEventSink } from './events.ts';
import type { RunCache } from './run-cache.ts';
import { runVerb } from './run-verb.ts';
import { keepShipping } from './wal-shipping.ts';
import { startStreaming } from './wal-stream/start.ts';
import type { WalStreaming } from './wal-stream/wal-streaming.ts';

/** What all clusters of a daemon share. */
export interface SharedParts {
  readonly configuration: Configuration;
  readonly version: string;
  readonly runs: RunCache;
  readonly say: DaemonEventSink;
  /** For what runs of that cluster say while they work. */
  runEvents(cluster: string): EventSink;
}

/** The catalogues are read again after so long, and after each run: other hosts and other commands write there, too. */
const CATALOGUE_AGE_MS = 5 * 60_000;
/** Who is primary, secrets and so on are looked up again after so long. */
const COMPOSED_AGE_MS = 10 * 60_000;
/** A run waits for so long for whoever is in its way; then it is due again. */
const QUEUE_MS = 10 * 60_000;

/** A cluster of the configuration: looks at the real servers and repositories, and has real runs done. */
export class ConfiguredWork implements ClusterWork {
  readonly cluster: string;
  readonly schedules: readonly Schedule[];
  readonly host: string;
  readonly #config: ClusterConfig;
  readonly #shared: SharedParts;
  readonly #store: ScheduleStore;
  #composed: { readonly at: number; readonly parts: Promise<ComposedCluster> } | undefined;
  #early: { readonly at: number; readonly seen: EarlyObservation } | undefined;
  #watch: ArchiveWatch | undefined;
  #streaming: WalStreaming | undefined;

  constructor(config: ClusterConfig, schedules: readonly Schedule[], shared: SharedParts) {
    this.cluster = config.name;
    this.schedules = schedules;
    this.host = hostOf(config);
    this.#config = config;
    this.#shared = shared;
    this.#store = composeScheduleStore(shared.configuration, config.name);
  }

  shipWal(signal: AbortSignal): Promise<void> {
    const { configuration, say } = this.#shared;
    const onFault = (message: string) => say({ kind: 'note', cluster: this.cluster, level: 'warning', message });
    return keepShipping({ configuration, cluster: this.#config, clock: createSystemClock(), onFault }, signal);
  }

  async takeOffice(signal: AbortSignal): Promise<Tenure> {
    // What was put together for the last one ends with it.
    this.#composed = undefined;
    const { ports } = await this.#compose(signal);
    const claim = { verb: 'daemon', cluster: this.cluster, repositories: [], host: hostname() } as const;
    const holder = { name: 'daemon', pid: process.pid, host: hostname(), since: ports.clock.now() };
    return acquireLeases(claim, holder, {
      ...{ stores: ports.leases, clock: ports.clock, signal, waitMs: Number.POSITIVE_INFINITY },
      say: (level, message) => this.#shared.say({ kind: 'note', cluster: this.cluster, level, message }),
    });
  }

  /** A state directory that was lost is written anew from what the repositories know. */
  async prepare(signal: AbortSignal): Promise<void> {
    const { ports } = await this.#compose(signal);
    if ((await this.#shared.runs.ofCluster(this.cluster, ports.clock.now())).past.length > 0) return;
    const { snapshots } = await observeRepositories(this.#config, undefined, { walArchive: false }, ports, { signal });
    const { rebuilt } = await rebuildHistory(ports, this.cluster, snapshots);
    if (rebuilt.length === 0) return;
    const message = `the history was lost: ${rebuilt.length} runs are known again from the repositories`;
    this.#shared.say({ kind: 'note', cluster: this.cluster, level: 'warning', message });
  }

  watch(signal: AbortSignal, wake: () => void): Promise<void> {
    const ports = async (until: AbortSignal) => (await this.#compose(until)).ports;
    const parts = { cluster: this.#config, clock: createSystemClock(), say: this.#shared.say, ports, onBackupDue: wake };
    if (!this.#config.wal.streaming) {
      this.#watch = new ArchiveWatch(parts);
      return this.#watch.run(signal);
    }
    return this.#watchStreaming(parts, signal);
  }

  async #watchStreaming(parts: WatchParts, signal: AbortSignal): Promise<void> {
    const { cluster, ports, clock, say } = parts;
    this.#watch = new ArchiveWatch({
      ...parts,
      receiver: () => this.#streaming?.receiver ?? { kind: 'down', since: clock.now(), reason: 'it has not been started yet' },
      onLooked: async (facts, until) => this.#streaming?.archiveLooked(facts, until),
    });
    const watching = this.#watch.run(signal);
    const note = (level: 'info' | 'warning', message: string) => say({ kind: 'note', cluster: cluster.name, level, message });
    this.#streaming = await startStreaming({ cluster, clock, note, ports, compose: (until) => this.#compose(until) }, signal);
    await Promise.all([watching, this.#streaming?.run(signal)]);
    this.#streaming = undefined;
  }

  async observe(signal: AbortSignal): Promise<ObservedFacts> {
    const { ports } = await this.#compose(signal);
    const runs = await this.#shared.runs.ofCluster(this.cluster, ports.clock.now());
    const { at, seen } = this.#early ?? { at: Number.NEGATIVE_INFINITY, seen: undefined };
    const isFresh = ports.clock.monotonicMs() - at < CATALOGUE_AGE_MS;
    const early = isFresh && seen !== undefined ? seen : await observeForSchedules(this.#config, runs.samples, ports, { signal });
    if (early !== seen) this.#early = { at: ports.clock.monotonicMs(), seen: early };
    const due = this.#watch?.last?.backupsDue ?? [];
    return {
      ...early,
      runs: runs.past,
      repositories: early.repositories.map((repository) => {
        const gap = due.find((one) => one.repository === repository.name && one.blockedBy === undefined);
        return gap === undefined ? repository : { ...repository, gap: gap.reason };
      }),
    };
  }

  async execute(run: DueRun, signal: AbortSignal): Promise<RunEnd> {
    const ended = new AbortController();
    const cancelled = new AbortController();
    const limit = timeLimit(run);
    try {
      // Who is primary may have changed since the last look.
      this.#composed = undefined;
      const { ports, handlers, newRunId } = await this.#compose(signal);
      const header = await this.#headerOf(run, newRunId, ports);
      this.#shared.say({ kind: 'run-begun', cluster: this.cluster, run, runId: header.runId });
      void abortWhenAsked(ports, header.runId, cancelled, ended.signal);
      return await runVerb(header, this.#config, {
        ...{ ports, handlers, emit: this.#shared.runEvents(this.cluster), pid: process.pid, waitMs: QUEUE_MS },
        signal: AbortSignal.any([signal, cancelled.signal, limit.signal]),
      });
    } catch (thrown) {
      const { code, message, hint } = asSpokeError(thrown);
      return { runId: run.resumes?.runId ?? '', outcome: 'failed', error: { code, message, hint } };
    } finally {
      limit.dispose();
      ended.abort();
      this.#early = undefined;
      this.#watch?.forget();
      await this.#boundHistory(signal);
    }
  }

  loadFirstSeen(): Promise<FirstSeen> {
    return this.#store.load();
  }

  saveFirstSeen(firstSeen: FirstSeen): Promise<void> {
    return this.#store.save(firstSeen);
  }

  async #headerOf(run: DueRun, newRunId: ComposedCluster['newRunId'], { runs, clock }: ComposedCluster['ports']): Promise<RunHeader> {
    if (run.resumes !== undefined) return (await runs.read(run.resumes.runId as RunId)).header;
    const startedAt = clock.now();
    const { verb, intent } = intentOf(run, this.cluster, startedAt);
    const by = { host: hostname(), user: userInfo().username, programVersion: this.#shared.version };
    return { runId: newRunId(verb), verb, cluster: this.cluster, startedAt, ...by, trigger: run.trigger, intent };
  }

  #compose(signal: AbortSignal): Promise<ComposedCluster> {
    const now = performance.now();
    if (this.#composed === undefined || now - this.#composed.at > COMPOSED_AGE_MS) {
      const parts = composeCluster(this.#shared.configuration, this.#config, signal, { askForPrimary: true });
      this.#composed = { at: now, parts };
      parts.catch(() => (this.#composed = undefined));
    }
    return this.#composed.parts;
  }

  /** The run's own end is what counts. */
  async #boundHistory(signal: AbortSignal): Promise<void> {
    try {
      await keepWithinBounds((await this.#compose(signal)).ports, this.#shared.configuration.history);
    } catch (thrown) {
      const message = `old runs are still there: ${asSpokeError(thrown).message}`;
      this.#shared.say({ kind: 'note', cluster: this.cluster, level: 'warning', message });
    }
  }
}

/** Runs load the host of the servers; where nothing says which that is, ours. */
function hostOf({ nodes }: ClusterConfig): string {
  const named = nodes.flatMap(({ url }) => (url === undefined ? [] : [/@([^/:?]+)/.exec(url.toString())?.[1] ?? '']));
  return named.find((host) => host !== '') ?? 'localhost';
}

/** Aborts once a run takes longer than its schedule lets it. */
function timeLimit({ maximumRunSeconds, trigger }: DueRun): { readonly signal: AbortSignal; dispose(): void } {
  const limit = new AbortController();
  if (maximumRunSeconds === undefined) return { signal: limit.signal, dispose: () => undefined };
  const whose = trigger.kind === 'schedule' ? `the schedule ${trigger.name}` : 'its schedule';
  const error = new SpokeError('TIMED_OUT', `${whose} allows a run ${maximumRunSeconds} s (maximumRunTime)`);
  const timer = setTimeout(() => limit.abort(error), maximumRunSeconds * 1000);
  return { signal: limit.signal, dispose: () => clearTimeout(timer) };
}
