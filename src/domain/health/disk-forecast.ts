import { addMicros, type Instant, secondsBetween } from '../time/instant.ts';

/** Free space at an instant. */
export interface SpaceSample {
  readonly at: Instant;
  readonly freeBytes: bigint;
}

/** When a file system is full, if it goes on as it did. */
export type DiskForecast =
  /** Too few looks yet, or none of this machine. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'steady'; readonly freeBytes: bigint }
  | { readonly kind: 'filling'; readonly freeBytes: bigint; readonly bytesPerSecond: number; readonly fullAt: Instant };

const FEWEST_SAMPLES = 4;
const SHORTEST_SPAN_SECONDS = 60;
/** The slopes of all pairs of so many are a few thousand. */
const MOST_SAMPLES = 80;

/**
 * The median of the slopes between all pairs of samples (Theil and Sen): PostgreSQL recycles and removes segments at
 * checkpoints, so that free space jumps, and a jump must not be taken for a trend.
 */
export function forecastDisk(samples: readonly SpaceSample[]): DiskForecast {
  const kept = samples.slice(-MOST_SAMPLES);
  const [first, last] = [kept[0], kept.at(-1)];
  if (first === undefined || last === undefined || kept.length < FEWEST_SAMPLES) return { kind: 'unknown' };
  if (secondsBetween(first.at, last.at) < SHORTEST_SPAN_SECONDS) return { kind: 'unknown' };
  const bytesPerSecond = -medianOf(slopesOf(kept));
  const { at, freeBytes } = last;
  if (bytesPerSecond <= 0) return { kind: 'steady', freeBytes };
  const micros = BigInt(Math.round((Number(freeBytes) / bytesPerSecond) * 1e6));
  return { kind: 'filling', freeBytes, bytesPerSecond, fullAt: addMicros(at, micros) };
}

function slopesOf(samples: readonly SpaceSample[]): number[] {
  return samples.flatMap((one, index) =>
    samples.slice(index + 1).flatMap((other) => {
      const seconds = secondsBetween(one.at, other.at);
      return seconds > 0 ? [Number(other.freeBytes - one.freeBytes) / seconds] : [];
    }),
  );
}

/** 0 where there is nothing. */
function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? upper;
  return (lower + upper) / 2;
}
