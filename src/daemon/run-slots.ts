import pLimit, { type LimitFunction } from 'p-limit';

/** How many runs may be under way, and how many of one host. */
export interface RunLimits {
  readonly inAll: number;
  readonly perHost: number;
}

/** Bounds the runs of all clusters. Who waits longest comes first. */
export class RunSlots {
  readonly #perHost: number;
  readonly #inAll: LimitFunction;
  readonly #byHost = new Map<string, LimitFunction>();

  constructor({ inAll, perHost }: RunLimits) {
    this.#perHost = perHost;
    this.#inAll = pLimit(inAll);
  }

  /** Does `work` once there is room; not at all where the signal aborts before. */
  use(host: string, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const ofHost = this.#byHost.get(host) ?? pLimit(this.#perHost);
    this.#byHost.set(host, ofHost);
    // The host first: who waits for its host must not keep others from theirs.
    return ofHost(() => this.#inAll(async () => (signal.aborted ? undefined : work())));
  }
}
