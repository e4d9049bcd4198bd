import type { Register } from '../../src/adapters/s3/register.ts';
import { addMicros, type Instant, instantOfMicros } from '../../src/domain/time/instant.ts';
import type { Clock } from '../../src/ports/clock.ts';

/** Time passes when the test says so, and for whoever sleeps. */
export class TestClock implements Clock {
  elapsedMs = 0;
  /** Of whoever sleeps, and when it is to wake. */
  readonly #sleepers: { readonly untilMs: number; wake(): void }[] = [];

  now(): Instant {
    return addMicros(instantOfMicros(1_795_382_188_000_000n), BigInt(Math.round(this.elapsedMs * 1000)));
  }

  monotonicMs(): number {
    return this.elapsedMs;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      this.#sleepers.push({ untilMs: this.elapsedMs + ms, wake: resolve });
    });
  }

  /** Wakes who is to wake on the way, one after the other, each with time to do what it woke up for. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.elapsedMs + ms;
    for (;;) {
      await settled();
      const [next] = this.#sleepers.filter((one) => one.untilMs <= untilMs).sort((one, other) => one.untilMs - other.untilMs);
      if (next === undefined) break;
      this.#sleepers.splice(this.#sleepers.indexOf(next), 1);
      this.elapsedMs = Math.max(this.elapsedMs, next.untilMs);
      next.wake();
    }
    this.elapsedMs = untilMs;
    await settled();
  }
}

/** When everything that waits for nothing but other promises is done. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A register in memory, with the clock of its server. */
export class MemoryRegister implements Register {
  text: string | undefined;
  version = 0;
  serverSkewMs = 0;
  /** Thrown by whatever is asked, while it is set. */
  fault: Error | undefined;
  /** Written, and the answer lost: once. */
  losesAnswer = false;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async read() {
    await this.#answer();
    const serverNow = addMicros(this.#clock.now(), BigInt(this.serverSkewMs) * 1000n);
    return this.text === undefined ? { serverNow } : { text: this.text, version: String(this.version), serverNow };
  }

  async write(text: string, version: string | undefined): Promise<boolean> {
    await this.#answer();
    if (version !== (this.text === undefined ? undefined : String(this.version))) return false;
    this.text = text;
    this.version += 1;
    const isLost = this.losesAnswer;
    this.losesAnswer = false;
    return !isLost;
  }

  async #answer(): Promise<void> {
    await Promise.resolve();
    if (this.fault !== undefined) throw this.fault;
  }
}
