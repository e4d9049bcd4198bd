import { addMicros, type Instant, secondsBetween } from '../time/instant.ts';
import type { ArchiveFacts } from './archive-facts.ts';

/** What becomes of a slot that nobody reads, if WAL is written as it was. */
export interface SlotForecast {
  /** `lost`: the server lets go what the slot should keep; `disk full`: the server stops. */
  readonly kind: 'lost' | 'disk full';
  readonly at: Instant;
}

const SHORTEST_SPAN_SECONDS = 60;

/** How fast the primary has written WAL since the first look on its timeline; undefined where that is not known, or nothing was written. */
export function walBytesPerSecond({ primary, samples, now }: ArchiveFacts): number | undefined {
  const first = samples.find(({ timeline }) => timeline === primary?.timeline);
  if (primary === undefined || first === undefined) return undefined;
  const seconds = secondsBetween(first.at, now);
  if (seconds < SHORTEST_SPAN_SECONDS || primary.insertLsn <= first.insertLsn) return undefined;
  return Number(primary.insertLsn - first.insertLsn) / seconds;
}

/** Whichever comes first: its bound, or the end of the disk. Pure. */
export function forecastSlot(facts: {
  readonly now: Instant;
  readonly bytesPerSecond: number;
  readonly retainedBytes: bigint;
  /** max_slot_wal_keep_size; undefined: no bound. */
  readonly keepsBytes: bigint | undefined;
  readonly freeBytes: bigint | undefined;
}): SlotForecast | undefined {
  const { now, bytesPerSecond, retainedBytes, keepsBytes, freeBytes } = facts;
  const room = keepsBytes === undefined ? undefined : keepsBytes > retainedBytes ? keepsBytes - retainedBytes : 0n;
  const kind = room === undefined || (freeBytes !== undefined && freeBytes < room) ? 'disk full' : 'lost';
  const bytes = kind === 'lost' ? room : freeBytes;
  if (bytes === undefined) return undefined;
  return { kind, at: addMicros(now, BigInt(Math.round((Number(bytes) / bytesPerSecond) * 1e6))) };
}
