/**
 * A point in time as microseconds since the Unix epoch, UTC: PostgreSQL's resolution.
 * `Date` would truncate to milliseconds.
 */
export type Instant = bigint & { readonly __brand: 'Instant' };

const MICROS_PER_SECOND = 1_000_000n;

/** Makes an instant of microseconds since the epoch. */
export function instantOfMicros(micros: bigint): Instant {
  return micros as Instant;
}

/** Makes an instant of whole seconds since the epoch (pgBackRest's resolution). */
export function instantOfSeconds(seconds: number | bigint): Instant {
  return (BigInt(seconds) * MICROS_PER_SECOND) as Instant;
}

/** Makes an instant of milliseconds since the epoch (what `Date` holds). */
export function instantOfMillis(millis: number): Instant {
  return (BigInt(Math.trunc(millis)) * 1000n) as Instant;
}

/** The instant moved by a number of microseconds, which may be negative. */
export function addMicros(instant: Instant, micros: bigint): Instant {
  return (instant + micros) as Instant;
}

/** Seconds from `earlier` to `later`, with the fraction; negative where they are the other way round. */
export function secondsBetween(earlier: Instant, later: Instant): number {
  return Number(later - earlier) / 1e6;
}

/** Milliseconds since the epoch, rounded towards the past. */
export function toEpochMillis(instant: Instant): number {
  const micros = instant as bigint;
  const millis = micros / 1000n;
  return Number(micros % 1000n < 0n ? millis - 1n : millis);
}
