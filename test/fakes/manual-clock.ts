import { addMicros, type Instant } from '../../src/domain/time/instant.ts';
import type { Clock } from '../../src/ports/clock.ts';

interface Sleeper {
  readonly atMs: number;
  wake(): void;
}

/** A clock that stands still until it is told to go on. Both times go on together; `jump` sets the wall clock alone. */
export class ManualClock implements Clock {
  #now: Instant;
  #monotonicMs = 0;
  readonly #sleepers = new Set<Sleeper>();

  constructor(now: Instant) {
    this.#now = now;
  }

  now = (): Instant => this.#now;
  monotonicMs = (): number => this.#monotonicMs;

  sleep = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => {
        this.#sleepers.delete(sleeper);
        reject(signal.reason);
      };
      const sleeper: Sleeper = {
        atMs: this.#monotonicMs + ms,
        wake: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal.addEventListener('abort', onAbort, { once: true });
    });

  /** Goes on from one sleeper to the next, and lets each do what it does. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    await settled();
    for (;;) {
      const next = [...this.#sleepers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#goTo(Math.max(next.atMs, this.#monotonicMs));
      this.#sleepers.delete(next);
      next.wake();
      await settled();
    }
    this.#goTo(endMs);
  }

  jump(seconds: number): void {
    this.#now = addMicros(this.#now, BigInt(Math.round(seconds * 1_000_000)));
  }

  #goTo(monotonicMs: number): void {
    this.#now = addMicros(this.#now, BigInt(Math.round((monotonicMs - this.#monotonicMs) * 1000)));
    this.#monotonicMs = monotonicMs;
  }
}

/** Everything that can go on without the time going on has done so. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
