import type { Instant } from '../domain/time/instant.ts';

export interface Clock {
  now(): Instant;
  /** For durations: never jumps. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}
