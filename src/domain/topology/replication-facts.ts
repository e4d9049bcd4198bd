import type { SlotFacts } from '../health/archive-facts.ts';
import type { Lsn } from '../postgres/lsn.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { Instant } from '../time/instant.ts';

/** pg_stat_wal_receiver. Absent where the role may not read it (pg_read_all_stats), but for the fact that there is one. */
export interface WalReceiverFacts {
  /** `streaming`, `waiting`, `starting`, `restarting`, `stopping` … */
  readonly status?: string;
  readonly timeline?: TimelineId;
  readonly flushedLsn?: Lsn;
  /** The end of the sender's WAL as it last told, and when that was. */
  readonly latestEndLsn?: Lsn;
  readonly latestEndTime?: Instant;
  readonly slot?: string;
  /** The server that it is connected to: a host name, an address, or the directory of a socket. */
  readonly senderHost?: string;
  readonly senderPort?: number;
}

/** A connection of pg_stat_replication. Whatever the role may not read (pg_read_all_stats) is absent. */
export interface WalSenderFacts {
  readonly applicationName: string;
  /** `startup`, `catchup`, `streaming`, `backup` or `stopping`. */
  readonly state: string;
  readonly syncState: string;
  readonly clientAddress?: string;
  readonly user?: string;
  /** The replication slot that it reads, where it reads one. */
  readonly slot?: string;
  readonly sentLsn?: Lsn;
  readonly writeLsn?: Lsn;
  readonly flushLsn?: Lsn;
  readonly replayLsn?: Lsn;
  /** Between flush here and replay there, of what was replayed last. */
  readonly replayLagSeconds?: number;
}

/** A row of pg_replication_slots. */
export interface ReplicationSlot extends SlotFacts {
  readonly kind: 'physical' | 'logical';
  readonly temporary: boolean;
  readonly restartLsn?: Lsn;
  /** What may still be written until it is in danger of being lost; absent where nothing bounds it, or it is lost. */
  readonly safeWalBytes?: bigint;
  /** Since when nobody uses it (PostgreSQL 17 and later). */
  readonly inactiveSince?: Instant;
  /** PostgreSQL 17 and later: `wal_removed`, `rows_removed`, `wal_level_insufficient`, `idle_timeout`. */
  readonly invalidationReason?: string;
}

/** pg_stat_database_conflicts, over all databases: queries on a standby that were cancelled since the statistics were reset. */
export interface RecoveryConflicts {
  readonly snapshot: bigint;
  readonly lock: bigint;
  readonly others: bigint;
}

/** primary_conninfo without anything secret in it. */
export interface PrimaryConnection {
  readonly host?: string;
  readonly port?: number;
  readonly user?: string;
}

/** A session that replay may have to wait for. */
export interface OldestQuery {
  readonly pid: number;
  readonly user?: string;
  readonly seconds: number;
}

/** Where a server stands in the replication of its cluster, as it says itself. */
export interface ReplicationFacts {
  readonly inRecovery: boolean;
  readonly serverTime: Instant;
  /** On a primary: everything up to here is on its disk, and may have been streamed. */
  readonly flushLsn?: Lsn;
  /** On a standby: what it has received and flushed, and what of it has been replayed. It is received also where it came from the archive. */
  readonly receivedLsn?: Lsn;
  readonly replayedLsn?: Lsn;
  /** Commit time, by the primary's clock, of the last transaction that was replayed. */
  readonly replayedCommitTime?: Instant;
  readonly replayPaused: boolean;
  /** `WAIT EVENT` of the startup process, for example `RecoveryConflictSnapshot`; absent where it may not be read. */
  readonly replayWaitsFor?: string;
  readonly oldestQuery?: OldestQuery;
  readonly receiver?: WalReceiverFacts;
  /** Absent where it is not set, or may not be read (pg_read_all_settings). */
  readonly primaryConnection?: PrimaryConnection;
  readonly senders: readonly WalSenderFacts[];
  readonly slots: readonly ReplicationSlot[];
  readonly conflicts: RecoveryConflicts;
}
