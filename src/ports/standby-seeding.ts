import type { CopyCommand, RewindCommand } from '../domain/topology/seed-commands.ts';
import type { FileOwner } from './instance.ts';
import type { OperationContext } from './operation.ts';

/** Who runs PostgreSQL's own programs, and where they are. */
interface Runs {
  readonly binDirectory: string;
  readonly owner: FileOwner;
}

/** What PostgreSQL's own programs do to the data directory of a standby that does not run. */
export interface StandbySeeding {
  /**
   * pg_rewind: makes the directory what the source is, but for WAL that is still to be replayed. Where it fails the directory may be good for
   * nothing but being seeded anew, unless the details of the error say `isUntouched`. From when it changes something PG_VERSION is closed
   * (domain/postgres/version-file.ts), and stays so: no postmaster starts on it until the caller opens it. Throws POSTGRES_UNAVAILABLE, TOOL_FAILED, DISK_FULL, TIMED_OUT.
   */
  rewind(request: RewindCommand & Runs, context: OperationContext): Promise<void>;
  /** pg_basebackup into an empty directory. Throws POSTGRES_UNAVAILABLE, TOOL_FAILED, DISK_FULL, TIMED_OUT. */
  copyServer(request: CopyCommand & Runs, context: OperationContext): Promise<void>;
}
