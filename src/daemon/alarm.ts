import type { Clock } from '../ports/clock.ts';

/** A sleep that somebody else can end. One that is rung while nobody sleeps ends the next sleep at once. */
export class Alarm {
  readonly #clock: Clock;
  #rung = false;
  #ring: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#rung = true;
    this.#ring?.();
  }

  /** Resolves after `ms`, when it is rung, or when the signal aborts. */
  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      const woken = new AbortController();
      const wake = () => woken.abort();
      this.#ring = wake;
      // Not AbortSignal.any: what it makes is remembered by a signal that lives as long as we do, and there is a sleep each minute.
      signal.addEventListener('abort', wake, { once: true });
      await this.#clock.sleep(ms, woken.signal).catch(() => undefined);
      signal.removeEventListener('abort', wake);
      this.#ring = undefined;
    }
    this.#rung = false;
  }
}
