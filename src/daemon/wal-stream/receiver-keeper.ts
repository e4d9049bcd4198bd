import type { ClusterConfig } from '../../config/model.ts';
import type { Lsn } from '../../domain/postgres/lsn.ts';
import type { ReceiverState } from '../../domain/streaming/receiver-state.ts';
import { asSpokeError } from '../../errors.ts';
import type { ReadPorts, WritePorts } from '../../ports/bundle.ts';
import type { Clock } from '../../ports/clock.ts';
import type { ServerAddress, StreamingObservation } from '../../ports/postgres-server.ts';
import type { ReceiverEnd, WalStream } from '../../ports/wal-stream.ts';
import { Alarm } from '../alarm.ts';

export interface KeeperParts {
  readonly cluster: ClusterConfig;
  readonly clock: Clock;
  readonly stream: WalStream;
  note(level: 'info' | 'warning', message: string): void;
  ports(signal: AbortSignal): Promise<ReadPorts & WritePorts>;
}

type Ports = ReadPorts & WritePorts;

interface Source {
  readonly node: string;
  readonly address: ServerAddress;
  readonly observed: StreamingObservation;
}

const LOOK_EVERY_MS = 5_000;
/** What the primary had flushed has come by then, or the connection is dead. */
const STALLED_MS = 30_000;
const RETRY_MS = [1_000, 2_000, 5_000, 10_000, 20_000, 30_000] as const;
/** An attempt that lasted so long was a good one. */
const GOOD_MS = 60_000;

/** Keeps a receiver of the primary's WAL alive: whoever the primary is, however often it ends. */
export class ReceiverKeeper {
  readonly #parts: KeeperParts;
  readonly #alarm: Alarm;
  readonly #said = new Set<string>();
  #state: ReceiverState;
  #observed: StreamingObservation | undefined;
  #failures = 0;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#alarm = new Alarm(parts.clock);
    this.#state = { kind: 'down', since: parts.clock.now(), reason: 'it has not been started yet' };
  }

  get state(): ReceiverState {
    return this.#state;
  }

  /** What the server told last; undefined while it is not asked or does not answer. */
  get observed(): StreamingObservation | undefined {
    return this.#observed;
  }

  /** Until the signal aborts; then no receiver is left. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const isOver = () => signal.aborted;
    while (!isOver()) {
      const begunMs = this.#parts.clock.monotonicMs();
      try {
        await this.#parts.stream.endStrays({ signal });
        const ports = await this.#parts.ports(signal);
        await this.#attempt(ports, signal);
      } catch (thrown) {
        if (!isOver()) this.#down(asSpokeError(thrown).message);
      }
      this.#observed = undefined;
      this.#failures = this.#parts.clock.monotonicMs() - begunMs > GOOD_MS ? 0 : this.#failures + 1;
      if (!isOver()) await this.#alarm.sleep(backoffMs(this.#failures, Math.random()), signal);
    }
  }

  async #attempt(ports: Ports, signal: AbortSignal): Promise<void> {
    const source = await this.#findPrimary(ports, signal);
    if (source === undefined) {
      this.#down('no primary answers, or more than one does');
      return;
    }
    await this.#ensureSlot(source, ports, signal);
    const end = await this.#receive(source, ports, signal);
    if (signal.aborted) return;
    if (end.kind === 'position gone') {
      await this.#parts.stream.setAside();
      this.#parts.note('warning', `streaming begins anew at the slot, with a hole behind it that the archive has to fill: ${end.message}`);
    }
    this.#down(end.message);
  }

  /** The one that is not in recovery. On the others a slot of ours, from when they were it, would keep WAL for nobody. */
  async #findPrimary(ports: Ports, signal: AbortSignal): Promise<Source | undefined> {
    const { cluster } = this.#parts;
    const { slot } = cluster.wal;
    const found = await Promise.all(
      cluster.nodes.map(async ({ name: node }): Promise<Source | undefined> => {
        try {
          const address = await ports.access.addressOf(node);
          return address === undefined
            ? undefined
            : { node, address, observed: await ports.postgres.observeStreaming(address, slot, { signal }) };
        } catch {
          return undefined;
        }
      }),
    );
    const answering = found.filter((source) => source !== undefined);
    for (const { node, address, observed } of answering) {
      if (!observed.inRecovery || observed.slot === undefined || observed.slot.active) continue;
      await ports.postgresWriter.dropSlot(address, slot, { signal });
      this.#parts.note('info', `dropped slot ${slot} on ${node}, which is no primary any more`);
    }
    const primaries = answering.filter(({ observed }) => !observed.inRecovery);
    return primaries.length === 1 ? primaries[0] : undefined;
  }

  async #ensureSlot({ node, address, observed }: Source, ports: Ports, signal: AbortSignal): Promise<void> {
    const { slot } = this.#parts.cluster.wal;
    if (observed.slot?.walStatus === 'lost') {
      await ports.postgresWriter.dropSlot(address, slot, { signal });
      this.#parts.note(
        'warning',
        `slot ${slot} on ${node} was lost: streaming was down for longer than max_slot_wal_keep_size lasts; it is made anew`,
      );
    }
    if (observed.slot !== undefined && observed.slot.walStatus !== 'lost') return;
    await ports.postgresWriter.createSlot(address, slot, { signal });
    this.#parts.note('info', `created slot ${slot} on ${node}`);
  }

  async #receive(source: Source, ports: Ports, signal: AbortSignal): Promise<ReceiverEnd> {
    const { stream, cluster, note } = this.#parts;
    const ending = new AbortController();
    const end = () => ending.abort();
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    const over = new AbortController();
    const watching = this.#watch(source, ports, over.signal).then((reason) => {
      if (reason !== undefined) ending.abort();
      return reason;
    });
    try {
      note('info', `streaming WAL from ${source.node} with slot ${cluster.wal.slot}`);
      const { postgresMajor, walSegmentSizeBytes } = source.observed;
      const request = { address: source.address, slot: cluster.wal.slot, postgresMajor, walSegmentSizeBytes };
      return await stream.receive(request, { signal: ending.signal });
    } catch (thrown) {
      const reason = ending.signal.aborted && !signal.aborted ? await watching : undefined;
      if (reason === undefined) throw thrown;
      return { kind: 'ended', message: reason };
    } finally {
      over.abort();
      signal.removeEventListener('abort', end);
      await watching;
    }
  }

  /** Resolves with why the receiver is of no use any more, or undefined when the signal aborts. */
  async #watch({ node, address }: Source, ports: Ports, signal: AbortSignal): Promise<string | undefined> {
    const { clock, cluster } = this.#parts;
    let progress = new Progress(clock.monotonicMs());
    const alarm = new Alarm(clock);
    for (;;) {
      await alarm.sleep(LOOK_EVERY_MS, signal);
      if (signal.aborted) return undefined;
      try {
        const observed = await ports.postgres.observeStreaming(address, cluster.wal.slot, { signal, timeoutMs: LOOK_EVERY_MS });
        this.#observed = observed;
        if (observed.inRecovery) return `${node} is no primary any more`;
        const isStalled = progress.isStalled(observed, clock.monotonicMs());
        if (isStalled) return `nothing has come from ${node} for ${STALLED_MS / 1000} s`;
        if (observed.slot?.active === true) this.#up(node);
      } catch {
        // What cannot be asked has not stalled: a connection that is dead the receiver itself notices.
        this.#observed = undefined;
        progress = new Progress(clock.monotonicMs());
      }
    }
  }

  #up(node: string): void {
    if (this.#state.kind === 'streaming' && this.#state.node === node) return;
    this.#state = { kind: 'streaming', since: this.#parts.clock.now(), node };
    this.#said.clear();
  }

  #down(reason: string): void {
    const since = this.#state.kind === 'down' ? this.#state.since : this.#parts.clock.now();
    this.#state = { kind: 'down', since, reason };
    if (this.#said.has(reason)) return;
    this.#said.add(reason);
    this.#parts.note('warning', `streaming of WAL ended, it is begun again: ${reason}`);
  }
}

/** Whether a receiver still takes what the server has. */
class Progress {
  #written: Lsn | undefined;
  /** What the server had flushed at the look before: the receiver has had time for it. */
  #flushed: Lsn | undefined;
  #aliveMs: number;

  constructor(nowMs: number) {
    this.#aliveMs = nowMs;
  }

  isStalled({ flushLsn, writeLsn }: StreamingObservation, nowMs: number): boolean {
    const hasMoved = writeLsn !== undefined && (this.#written === undefined || writeLsn > this.#written);
    const hasAll = writeLsn !== undefined && this.#flushed !== undefined && writeLsn >= this.#flushed;
    if (hasMoved || hasAll) this.#aliveMs = nowMs;
    this.#written = writeLsn;
    this.#flushed = flushLsn;
    return nowMs - this.#aliveMs > STALLED_MS;
  }
}

/** Twice as long each time, up to half a minute, and no two clusters in step. */
function backoffMs(failures: number, random: number): number {
  const most = RETRY_MS[Math.min(Math.max(0, failures - 1), RETRY_MS.length - 1)] ?? 30_000;
  return most * (0.5 + random / 2);
}
