import type { BackupLabel, BackupType } from '../catalog/base-backup.ts';
import type { Lsn } from '../postgres/lsn.ts';
import type { SystemIdentifier } from '../postgres/system-identifier.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { Instant } from '../time/instant.ts';
import type { NativeCompressType } from './layout.ts';

/** One tar archive of a backup: the data directory (`base`), or a tablespace, named by its OID. */
export interface RecordedArchive {
  /** The file's name in the backup's folder, for example `base.tar.zst`. */
  readonly name: string;
  /** Absent for the data directory itself. */
  readonly tablespaceOid?: number;
  /** Where the tablespace was. */
  readonly tablespaceLocation?: string;
  readonly tablespaceName?: string;
  readonly storedBytes: bigint;
}

/** What a native backup says of itself: its `backup.json`. */
export interface BackupRecord {
  readonly layoutVersion: number;
  readonly label: BackupLabel;
  readonly type: Exclude<BackupType, 'diff'>;
  /** Why it is a full one, where an incremental one was asked for. */
  readonly fullBecause?: string;
  /** The backup that an incremental is relative to. */
  readonly prior?: BackupLabel;
  /** Every backup that this one needs, oldest first. */
  readonly references: readonly BackupLabel[];
  readonly runId: string;
  readonly systemIdentifier: SystemIdentifier;
  readonly postgresMajor: number;
  readonly walSegmentBytes: number;
  readonly timeline: TimelineId;
  readonly startLsn: Lsn;
  readonly stopLsn: Lsn;
  /** By the database server's clock. */
  readonly startTime: Instant;
  readonly stopTime: Instant;
  /** Size of the cluster: of a full backup the sum of its files, else what the server said. */
  readonly databaseBytes: bigint;
  /** Sum of the files in the manifest: what it takes unpacked. */
  readonly fileBytes: bigint;
  readonly storedBytes: bigint;
  readonly dataChecksums: boolean;
  readonly hasPageErrors: boolean;
  /** The node that it was copied from, and whether that was a standby. */
  readonly source: { readonly node: string; readonly inRecovery: boolean };
  readonly compressType: NativeCompressType;
  /** The public keys that it was encrypted for; empty: it is not encrypted. */
  readonly recipients: readonly string[];
  readonly archives: readonly RecordedArchive[];
  /** The programs that made it, for example `pg_basebackup (PostgreSQL) 17.12`. */
  readonly madeBy: readonly string[];
}
