import type { BackupRequest } from '../../../ports/backup-engine.ts';
import type { IncrementalBasis } from '../incremental/incremental.ts';
import type { Destination, Failures } from './destinations.ts';
import type { BackupSource } from './source.ts';
import type { BackupProgram } from './version.ts';
import type { WorkDirectory } from './work-directory.ts';

/** A backup that is to be taken anew. */
export interface NewBackup {
  readonly request: BackupRequest;
  readonly destinations: readonly Destination[];
  readonly failures: Failures;
}

/** All that is known once it can begin. */
export interface Attempt extends NewBackup {
  readonly source: BackupSource;
  readonly program: BackupProgram;
  readonly work: WorkDirectory;
}

/** The same, once it is known what the backup is relative to. */
export interface BasedAttempt extends Attempt {
  readonly basis: IncrementalBasis;
}
