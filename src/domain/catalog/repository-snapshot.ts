import type { SystemIdentifier } from '../postgres/system-identifier.ts';
import type { Instant } from '../time/instant.ts';
import type { BaseBackup, RepositoryName } from './base-backup.ts';
import type { WalArchive } from './wal-archive.ts';
import type { WalTail } from './wal-tail.ts';

/** What one repository held when it was read. */
export interface RepositorySnapshot {
  readonly repository: RepositoryName;
  readonly kind: 'local' | 's3';
  readonly readAt: Instant;
  /** False where the engine has not been set up in this repository yet (no stanza). */
  readonly initialised: boolean;
  /** Of the newest cluster generation in the repository; absent before the first set-up. */
  readonly systemIdentifier?: SystemIdentifier;
  readonly postgresMajor?: number;
  /** Oldest first. */
  readonly backups: readonly BaseBackup[];
  /** Of that same generation; absent where it was not asked for or there is none. */
  readonly walArchive?: WalArchive;
  /** WAL that was streamed to it beside the archive, as far as it was asked for. */
  readonly tail?: WalTail;
  /** Why it is not known whether there is any. */
  readonly tailUnreadable?: string;
}

/** A repository that could not be read, and why: unknown, which is not the same as empty. */
export interface UnreadableRepository {
  readonly repository: RepositoryName;
  readonly kind: 'local' | 's3';
  readonly errorCode: string;
  readonly message: string;
}
