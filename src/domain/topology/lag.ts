import type { Lsn } from '../postgres/lsn.ts';
import { type Instant, secondsBetween } from '../time/instant.ts';
import type { ReplicationFacts } from './replication-facts.ts';

/** Where the primary was at an instant by its own clock. */
export interface PrimaryPosition {
  readonly at: Instant;
  readonly lsn: Lsn;
}

/** How far a standby is behind its primary. */
export interface ReplicationLag {
  /** Flushed by the primary and not yet received: what the network has not brought, and what a failover would lose. */
  readonly receiveBytes: bigint;
  /** Received and not yet replayed. */
  readonly replayBytes: bigint;
  /** Both together: what queries on the standby do not see yet. */
  readonly bytes: bigint;
  /**
   * How old that is which queries see: 0 where all of the primary's WAL is replayed, however long ago its last commit was.
   * At most so much: nobody notes when a byte of WAL was written. Absent where nothing tells.
   */
  readonly seconds?: number;
}

/**
 * The lag of a standby. The primary's position must have been read before the standby's: then what is replayed up to it is no lag.
 * `earlier`: other looks at the primary, in any order; they tell from when on WAL was written that is not replayed.
 */
export function lagOf(
  primary: PrimaryPosition,
  standby: ReplicationFacts,
  earlier: readonly PrimaryPosition[] = [],
): ReplicationLag | undefined {
  const replayed = standby.replayedLsn;
  if (replayed === undefined) return undefined;
  const received = receivedLsn(standby) ?? replayed;
  const bytes = distance(replayed, primary.lsn);
  const receiveBytes = distance(received, primary.lsn);
  const seconds = bytes === 0n ? 0 : ageOf(replayed, primary, standby, earlier);
  return { receiveBytes, replayBytes: bytes - receiveBytes, bytes, ...(seconds === undefined ? {} : { seconds }) };
}

/** Everything up to here is on the standby's disk. What was replayed had been received, from the archive where not from a server. */
export function receivedLsn({ receivedLsn: received, replayedLsn: replayed }: ReplicationFacts): Lsn | undefined {
  if (received === undefined || replayed === undefined) return received ?? replayed;
  return received > replayed ? received : replayed;
}

/** Nothing where `to` is not beyond. */
export function distance(from: Lsn, to: Lsn): bigint {
  return to > from ? to - from : 0n;
}

/** The younger of two upper bounds: the last commit that was replayed, and the last look that found the primary no further than that. */
function ageOf(
  replayed: Lsn,
  primary: PrimaryPosition,
  { replayedCommitTime }: ReplicationFacts,
  earlier: readonly PrimaryPosition[],
): number | undefined {
  const caughtUp = earlier.filter(({ lsn, at }) => lsn <= replayed && at <= primary.at).map(({ at }) => at);
  const instants = replayedCommitTime === undefined ? caughtUp : [...caughtUp, replayedCommitTime];
  if (instants.length === 0) return undefined;
  const latest = instants.reduce((one, other) => (one > other ? one : other));
  return Math.max(0, secondsBetween(latest, primary.at));
}
