import type { BackupLabel, RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import type { ClusterRecord } from '../../../domain/native/cluster-record.ts';
import { SpokeError } from '../../../errors.ts';
import type { NativeParts } from '../parts.ts';

/** A backup of which nothing can be told. */
export interface DamagedBackup {
  readonly label: BackupLabel;
  readonly why: string;
}

export interface ListedBackups {
  /** Oldest first. */
  readonly records: readonly BackupRecord[];
  readonly damaged: readonly DamagedBackup[];
}

/** What is in the repositories, as read from their stores. Never cached but for what cannot change. */
export interface NativeCatalog {
  /** Undefined where the repository was not set up. Throws REFUSED_PRECONDITION for a newer layout. */
  readCluster(repository: RepositoryName, signal: AbortSignal): Promise<ClusterRecord | undefined>;
  /** Every backup that is complete. */
  listBackups(repository: RepositoryName, signal: AbortSignal): Promise<ListedBackups>;
  /** Throws TARGET_NOT_FOUND where there is no such backup; BACKUP_DAMAGED where its record cannot be read. */
  readRecord(repository: RepositoryName, label: BackupLabel, signal: AbortSignal): Promise<BackupRecord>;
  /** SHA-256 in hexadecimal by the object's name in the backup's folder. Throws as readRecord does. */
  readSums(repository: RepositoryName, label: BackupLabel, signal: AbortSignal): Promise<ReadonlyMap<string, string>>;
}

export function createCatalog(_parts: NativeParts): NativeCatalog {
  const notYet = () => Promise.reject(new SpokeError('TOOL_UNSUPPORTED', 'the native engine cannot read its catalogue yet'));
  return { readCluster: notYet, listBackups: notYet, readRecord: notYet, readSums: notYet };
}
