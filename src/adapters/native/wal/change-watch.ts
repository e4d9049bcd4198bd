import { type FSWatcher, watch } from 'node:fs';
import type { Clock } from '../../../ports/clock.ts';

/** Where the system cannot tell of changes, one looks again after this. */
const BLIND_MS = 1_000;

/** Waits until something changes in a directory. */
export class ChangeWatch {
  readonly #watcher: FSWatcher | undefined;
  #changed = false;
  #waiting: (() => void) | undefined;

  constructor(directory: string) {
    try {
      this.#watcher = watch(directory, { persistent: false }, () => this.#tell());
      this.#watcher.on('error', () => this.#tell());
    } catch {
      // No such directory yet, or no more watches to be had.
    }
  }

  /** Resolves after a change since the last call, or after `ms`. Rejects with the signal's reason. */
  async wait(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
    // One that is aborted already never tells so again.
    signal.throwIfAborted();
    if (!this.#changed) {
      const woken = new AbortController();
      this.#waiting = () => woken.abort();
      // Not AbortSignal.any: what it makes is remembered by a signal that lives as long as we do.
      signal.addEventListener('abort', this.#waiting, { once: true });
      await clock.sleep(this.#watcher === undefined ? Math.min(ms, BLIND_MS) : ms, woken.signal).catch(() => undefined);
      signal.removeEventListener('abort', this.#waiting);
      this.#waiting = undefined;
    }
    this.#changed = false;
    signal.throwIfAborted();
  }

  close(): void {
    this.#watcher?.close();
  }

  #tell(): void {
    this.#changed = true;
    this.#waiting?.();
  }
}
