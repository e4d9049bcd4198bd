import type { Lsn } from '../postgres/lsn.ts';
import type { SystemIdentifier } from '../postgres/system-identifier.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { Instant } from '../time/instant.ts';

/** A repository's name in the configuration, for example `local` or `s3`. */
export type RepositoryName = string & { readonly __brand: 'RepositoryName' };

/** The engine's own name for a backup, for example `20261122-020003F_20261122-080002I`. */
export type BackupLabel = string & { readonly __brand: 'BackupLabel' };

export type BackupType = 'full' | 'diff' | 'incr';

/** One finished base backup in one repository. Immutable. */
export interface BaseBackup {
  readonly label: BackupLabel;
  readonly type: BackupType;
  readonly repository: RepositoryName;
  /** The backup that this one is relative to; absent for a full. */
  readonly prior?: BackupLabel;
  /** Every backup that must exist for this one to be restored, oldest first, itself excluded. */
  readonly references: readonly BackupLabel[];
  readonly systemIdentifier: SystemIdentifier;
  /** For example `15` or `17`: PostgreSQL's major version. */
  readonly postgresMajor: number;
  readonly timeline: TimelineId;
  readonly startLsn: Lsn;
  /** The end of the backup: recovery is consistent from here on. */
  readonly stopLsn: Lsn;
  /** By the database server's clock; pgBackRest keeps whole seconds. */
  readonly startTime: Instant;
  readonly stopTime: Instant;
  /** Size of the database cluster, uncompressed. */
  readonly databaseBytes: bigint;
  /** What a restore holds on disk beside the database until it has made one of several backups; absent where it makes none of several. */
  readonly stagedBytes?: bigint;
  /** What this backup itself added to the repository. */
  readonly repositoryBytes: bigint;
  /** True where the engine found page checksum failures while copying. */
  readonly hasPageErrors: boolean;
  /** Free key-value notes; the run that took the backup is noted as `spoke-run`. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** A tablespace as a backup knows it. */
export interface BackupTablespace {
  readonly oid: number;
  readonly name: string;
  /** Where it was on the server that was backed up. */
  readonly location: string;
}

/** What is read of one backup alone, before it is restored. */
export interface BackupDetail {
  readonly label: BackupLabel;
  readonly tablespaces: readonly BackupTablespace[];
  /** Other symbolic links of the data directory (pg_wal, configuration files): they become plain files and folders. */
  readonly links: readonly { readonly path: string; readonly destination: string }[];
}
