import type { BackupLabel, RepositoryName } from '../domain/catalog/base-backup.ts';

/** Where a server that is restored beside lives until the swap. */
export interface RestoreArea {
  /** Same parent as the data directory, so that the swap is a rename. */
  readonly root: string;
  readonly dataDirectory: string;
  readonly workDirectory: string;
  readonly socketDirectory: string;
  readonly markerFile: string;
  readonly proofFile: string;
  readonly logFile: string;
  readonly hbaFile: string;
  readonly configFile: string;
}

/** The backup and repository that a restore uses. */
export interface PinnedBackup {
  readonly repository: RepositoryName;
  readonly label: BackupLabel;
}

export interface TablespaceMapping {
  readonly oid: number;
  readonly location: string;
}
