import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { NativeCompressType } from '../../domain/native/layout.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import type { ServerAddress } from '../../ports/postgres-server.ts';

/** Everything that the native engine works with. May hold secrets: never printed. */
export interface NativeSettings {
  readonly cluster: string;
  /** Of the engine alone, on this host: spool, notes, the file that the WAL programs read. */
  readonly directory: string;
  /** Where spoke-wal-push and spoke-wal-get are. */
  readonly programDirectory: string;
  /** Where pg_basebackup and its kin are; asked for with the server's major version. */
  binDirectoryOf(postgresMajor: number): Promise<string>;
  readonly compressType: NativeCompressType;
  readonly compressLevel: number;
  /** Of pg_basebackup, KiB a second; absent: no limit. */
  readonly maxRateKib?: number;
  readonly backupFrom: 'primary' | 'standby';
  /** Which repositories must hold WAL before PostgreSQL is told that it is archived. */
  readonly ack: 'local' | 'all';
  /** How long archive_command waits for repositories that are not on this machine, where it has to. */
  readonly ackTimeoutSeconds: number;
  readonly encryption?: NativeEncryption;
  readonly repositories: readonly NativeRepository[];
  readonly nodes: readonly NativeNode[];
  /** Whom PostgreSQL's programs run as where we are root: the owner of the data directory. */
  readonly user?: { readonly uid: number; readonly gid: number; readonly name: string };
}

/** age: who may read is not who writes. */
export interface NativeEncryption {
  readonly recipients: readonly string[];
  /** A file with the private key; only where backups are read. */
  readonly identityFile?: string;
}

export interface NativeRepository {
  readonly name: RepositoryName;
  readonly kind: 'local' | 's3';
  readonly retentionDays: number;
  /** The directory of a local repository's objects: the root of its blob store. */
  readonly directory?: string;
  /**
   * Of one that is not on this machine: what a program needs to open it that has no configuration, as plain data. Secret. Throws
   * SECRET_UNAVAILABLE.
   */
  access?(): Promise<object>;
  /** Opened when it is first asked for; the caller does not close it. */
  open(): Promise<BlobStore>;
}

export interface NativeNode {
  readonly name: string;
  readonly dataDirectory?: string;
  /** Undefined where the configuration gives no URL. Throws SECRET_UNAVAILABLE. */
  address(): Promise<ServerAddress | undefined>;
}
