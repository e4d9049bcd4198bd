import type { BackupTablespace } from '../domain/catalog/base-backup.ts';
import type { ArchiveQueue, SlotFacts } from '../domain/health/archive-facts.ts';
import type { SummaryFacts } from '../domain/native/wal-summaries.ts';
import type { Lsn } from '../domain/postgres/lsn.ts';
import type { SystemIdentifier } from '../domain/postgres/system-identifier.ts';
import type { TimelineId } from '../domain/postgres/timeline.ts';
import type { TimelineHistory } from '../domain/postgres/timeline-history.ts';
import type { Instant } from '../domain/time/instant.ts';
import type { ReplicationFacts } from '../domain/topology/replication-facts.ts';
import type { OperationContext } from './operation.ts';

/** How to reach a server by SQL. The password, where there is one, is inside `url` and is never printed. */
export type ServerAddress =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'socket'; readonly socketDirectory: string; readonly port: number; readonly user: string };

/** pg_stat_archiver. */
export interface ArchiverStatistics {
  readonly archivedCount: bigint;
  readonly failedCount: bigint;
  readonly lastArchivedWal?: string;
  readonly lastArchivedTime?: Instant;
  readonly lastFailedWal?: string;
  readonly lastFailedTime?: Instant;
}

/** A standby as its primary sees it (pg_stat_replication). */
export interface ReplicationConnection {
  readonly applicationName: string;
  readonly state: string;
  readonly sentLsn?: Lsn;
  readonly replayLsn?: Lsn;
  readonly syncState: string;
}

/** A server as it answered just now. */
export interface ServerObservation {
  readonly systemIdentifier: SystemIdentifier;
  readonly postgresMajor: number;
  /** server_version_num, for example 150020. */
  readonly versionNumber: number;
  /** Whether the role that asked may use the replication protocol. */
  readonly mayReplicate?: boolean;
  readonly inRecovery: boolean;
  readonly timeline: TimelineId;
  /** The insert position on a primary, the replayed position on a standby. */
  readonly lsn?: Lsn;
  /** Absent where the role may not read it (pg_read_all_settings). */
  readonly dataDirectory?: string;
  readonly walSegmentSizeBytes: number;
  readonly serverTime: Instant;
  readonly archiver: ArchiverStatistics;
  readonly replication: readonly ReplicationConnection[];
  /**
   * Only those that this program looks at; absent where the role may not read them. As pg_settings.setting has it: numbers in
   * the setting's own unit (archive_timeout in seconds), no unit printed.
   */
  readonly settings: Readonly<Record<string, string>>;
  /** Settings changed on disk that wait for a restart. */
  readonly pendingRestart: readonly string[];
}

/** What a server keeps in pg_wal, and for whom. */
export interface WalObservation {
  /** Absent where the role may not list archive_status (pg_monitor). */
  readonly queue?: ArchiveQueue;
  /** Size of all files in pg_wal; absent where the role may not list it (pg_monitor). */
  readonly walBytes?: bigint;
  readonly slots: readonly SlotFacts[];
}

/** What a server tells of a receiver of its WAL and of the receiver's slot. */
export interface StreamingObservation {
  readonly inRecovery: boolean;
  readonly postgresMajor: number;
  readonly walSegmentSizeBytes: number;
  /** Up to here WAL is durable on the server (replayed, on a standby), and may have been streamed. */
  readonly flushLsn?: Lsn;
  readonly slot?: SlotFacts;
  /** How far the slot's receiver has told that it has written; absent where none is connected, or the role may not see it. */
  readonly writeLsn?: Lsn;
  /** pg_stat_archiver. */
  readonly lastArchivedWal?: string;
}

/** Where the recovery of a server stands. */
export interface RecoveryState {
  readonly inRecovery: boolean;
  readonly paused: boolean;
  readonly replayLsn?: Lsn;
  /** Commit time of the last replayed transaction. */
  readonly lastReplayedCommitTime?: Instant;
  readonly timeline: TimelineId;
}

/** What a server of PostgreSQL 17 or later can say of what has changed. */
export interface SummaryObservation extends SummaryFacts {
  /** Size of all databases; absent where the role may not look at each of them (pg_read_all_stats). */
  readonly databaseBytes?: bigint;
}

/** What a server can say of being copied from, and of what it still has. */
export interface SeedSourceObservation {
  /** Size of all databases; absent where the role may not look at each of them (pg_read_all_stats). */
  readonly databaseBytes?: bigint;
  /** The name of the segment in pg_wal that comes first; absent where the role may not list it (pg_monitor). */
  readonly oldestWal?: string;
  /** Connections that max_wal_senders still lets in. */
  /** All that is in its pg_wal; absent where the role may not list it. */
  readonly walBytes?: bigint;
  readonly freeSenders: number;
}

export interface PostgresReader {
  /** Throws POSTGRES_UNAVAILABLE. */
  observeServer(address: ServerAddress, context: OperationContext): Promise<ServerObservation>;
  /** Throws POSTGRES_UNAVAILABLE, also while the server still starts. */
  observeRecovery(address: ServerAddress, context: OperationContext): Promise<RecoveryState>;
  /** Throws POSTGRES_UNAVAILABLE. */
  observeWal(address: ServerAddress, context: OperationContext): Promise<WalObservation>;
  /** Those that lie outside of the data directory, in the order of their OIDs. Throws POSTGRES_UNAVAILABLE. */
  observeTablespaces(address: ServerAddress, context: OperationContext): Promise<readonly BackupTablespace[]>;
  /** The WAL summaries that end after `since`, from PostgreSQL 17 on. Throws POSTGRES_UNAVAILABLE; POSTGRES_FAILED before 17. */
  observeSummaries(address: ServerAddress, since: Lsn, context: OperationContext): Promise<SummaryObservation>;
  /**
   * By the replication protocol, which the role must be allowed. Throws POSTGRES_UNAVAILABLE; POSTGRES_FAILED where the server has no
   * such file (timeline 1 has none).
   */
  readTimelineHistory(address: ServerAddress, timeline: TimelineId, context: OperationContext): Promise<TimelineHistory>;
  /** Throws POSTGRES_UNAVAILABLE. */
  observeStreaming(address: ServerAddress, slot: string, context: OperationContext): Promise<StreamingObservation>;
  /** Throws POSTGRES_UNAVAILABLE. */
  observeSeedSource(address: ServerAddress, context: OperationContext): Promise<SeedSourceObservation>;
  /** Senders, receiver, slots and positions. Throws POSTGRES_UNAVAILABLE. */
  observeReplication(address: ServerAddress, context: OperationContext): Promise<ReplicationFacts>;
}

export interface PostgresWriter {
  /** ALTER SYSTEM SET, one statement a setting; `null` resets it. */
  alterSystem(address: ServerAddress, settings: Readonly<Record<string, string | null>>, context: OperationContext): Promise<void>;
  reloadConfiguration(address: ServerAddress, context: OperationContext): Promise<void>;
  /** CHECKPOINT: what a shutdown right after has still to write is little. Needs pg_checkpoint (15 and later) or superuser. */
  checkpoint(address: ServerAddress, context: OperationContext): Promise<void>;
  /** A physical replication slot that keeps WAL from now on. Idempotent. */
  createSlot(address: ServerAddress, slot: string, context: OperationContext): Promise<void>;
  /** Idempotent. Throws POSTGRES_FAILED while it is in use. */
  dropSlot(address: ServerAddress, slot: string, context: OperationContext): Promise<void>;
  /**
   * Commits an empty transaction that has an xid, so that the WAL holds a commit later than any that came before,
   * then switches to a new segment. Resolves with the name of the segment that was closed: it or an earlier one holds the
   * commit, whose time is `commitTime` or later.
   */
  closeWalSegment(address: ServerAddress, context: OperationContext): Promise<{ readonly segment: string; readonly commitTime: Instant }>;
  /** pg_promote(wait): resolves once the server accepts writes. */
  promote(address: ServerAddress, context: OperationContext): Promise<void>;
  /**
   * Has a server that is paused at its recovery target accept writes: pg_wal_replay_resume(), "which then causes recovery to end"
   * (recovery_target_action). Resolves once it does. Idempotent. On a server that pauses elsewhere, replay would go on.
   */
  endRecoveryAtTarget(address: ServerAddress, context: OperationContext): Promise<void>;
}
