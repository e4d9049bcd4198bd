import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import type { Lsn } from '../postgres/lsn.ts';
import type { SystemIdentifier } from '../postgres/system-identifier.ts';
import type { TimelineHistory } from '../postgres/timeline-history.ts';
import type { FileFacts } from './topology.ts';

export type ReseedMethodName = 'rewind' | 'delta' | 'backup' | 'basebackup';

/** Where the bytes come from: a repository, the primary, or another standby. */
export type SeedSource =
  | { readonly kind: 'repository'; readonly name: string }
  | { readonly kind: 'primary'; readonly name: string }
  | { readonly kind: 'standby'; readonly name: string };

/** The server that the standby is to follow. */
export interface SeedPrimary {
  readonly node: string;
  readonly systemIdentifier: SystemIdentifier;
  readonly postgresMajor: number;
  readonly walSegmentSizeBytes: number;
  readonly history: TimelineHistory;
  readonly flushLsn: Lsn;
  /** The oldest WAL that it can still stream; undefined where that is not known. */
  readonly oldestWalLsn?: Lsn;
  readonly databaseBytes: bigint;
  /** All that is in its pg_wal, of which pg_rewind copies every file; undefined where that is not known. */
  readonly walBytes?: bigint;
  readonly fullPageWrites: boolean;
  /** Whether another base backup may connect (max_wal_senders). */
  readonly hasFreeSender: boolean;
}

/** A standby of the same cluster that another one can be copied from. */
export interface SeedStandby {
  readonly node: string;
  readonly replayedLsn: Lsn;
  readonly lagBytes: bigint;
}

/** What the method is chosen by. */
export interface ReseedFacts {
  readonly primary: SeedPrimary;
  /** The node that is seeded: what is in its data directory; absent where there is nothing to go on from. */
  readonly target?: FileFacts;
  /** Where the target's own WAL ends; its last checkpoint where nothing better is known. */
  readonly targetLsn?: Lsn;
  /** The oldest WAL in the target's pg_wal, for pg_rewind. */
  readonly targetOldestWalLsn?: Lsn;
  /** Free where the new data would go, the target's own data not counted. */
  readonly freeBytes?: bigint;
  /** With streamed WAL counted in. */
  readonly snapshots: readonly RepositorySnapshot[];
  readonly standbys: readonly SeedStandby[];
  /** Repositories whose engine compares what is there and fetches only what differs. */
  readonly deltaFrom: readonly string[];
  readonly rates: ReseedRates;
  /** Why nothing can be done over the old data (pg_rewind, delta), whatever it would cost. */
  readonly againstInPlace?: string;
  /** Why the replication role may not be used for pg_rewind. */
  readonly againstRewind?: string;
  /** Why nothing can be put in its place (restore, pg_basebackup). */
  readonly againstBeside?: string;
}

/** What was measured, or assumed: bytes a second. */
export interface ReseedRates {
  readonly networkBytesPerSecond: number;
  readonly localRepositoryBytesPerSecond: number;
  readonly s3BytesPerSecond: number;
  /** How fast the target reads its own files to compare them. */
  readonly checksumBytesPerSecond: number;
  readonly replayBytesPerSecond: number;
}

const MEBIBYTE = 1024 * 1024;

/** Slow enough for modest disks and links; the same as restores are estimated by. */
export const ASSUMED_RESEED_RATES: ReseedRates = {
  networkBytesPerSecond: 100 * MEBIBYTE,
  localRepositoryBytesPerSecond: 100 * MEBIBYTE,
  s3BytesPerSecond: 30 * MEBIBYTE,
  checksumBytesPerSecond: 300 * MEBIBYTE,
  replayBytesPerSecond: 40 * MEBIBYTE,
};
