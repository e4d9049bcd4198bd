import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { ReseedMethodName, SeedSource } from '../../domain/topology/reseed-facts.ts';
import type { PinnedBackup, RestoreArea, TablespaceMapping } from '../../plan/step.ts';
import type { SeedMark } from '../../domain/topology/seed-mark.ts';
import type { FileOwner } from '../../ports/instance.ts';
import type { ServiceManager } from '../../ports/service-control.ts';

/** A way to seed it: the method with all that it needs. */
export interface Seeding {
  readonly method: ReseedMethodName;
  readonly source: SeedSource;
  /** Why this method. */
  readonly reason: string;
  /** Where the method restores one; null else. */
  readonly backup: PinnedBackup | null;
  /** How pg_rewind or pg_basebackup reach the source; no password in it. */
  readonly conninfo: string;
  /** Where the old data is kept until the new streams; null where the method works on it, or there is none. */
  readonly oldDataDirectory: string | null;
  /** The repository that the standby gets WAL from which its primary no longer has; null: from none. */
  readonly restoreFrom: RepositoryName | null;
}

/**
 * How a standby is brought back, decided once and written down before the first step; plain JSON. A run that is resumed does what this
 * says: another method is another run.
 */
export interface ReseedIntent extends Seeding {
  readonly cluster: string;
  readonly node: string;
  readonly primary: string;
  readonly systemIdentifier: string;
  readonly postgresMajor: number;
  /** What is done where pg_rewind was interrupted, which cannot be done again over what it left; null: nothing else was possible. */
  readonly instead: Seeding | null;
  readonly dataDirectory: string;
  /** device:inode of what was there and was confirmed; null where there was nothing. */
  readonly destinationIdentity: string | null;
  /** Whether it stays there for good. */
  readonly keepOld: boolean;
  readonly area: RestoreArea;
  readonly owner: FileOwner;
  readonly service: ServiceManager;
  readonly port: number;
  readonly socketDirectory: string;
  /** postgresql.conf, where that is not in the data directory. */
  readonly configFile: string | null;
  readonly slot: string;
  /** Of the standby, into postgresql.auto.conf; restore_command is the engine's, on its host. */
  readonly settings: Readonly<Record<string, string>>;
  /** The repository that pg_rewind gets WAL of the target from; it names each segment, so a newer timeline there does no harm. */
  readonly rewindFrom: RepositoryName | null;
  /** Null where the configuration gives no password. */
  readonly passfile: ReseedPassfile | null;
  readonly tablespaceMap: readonly TablespaceMapping[];
  /** Decimal digits. */
  readonly maxLagBytes: string;
  readonly patienceMs: number;
  readonly warnings: readonly string[];
}

export interface ReseedPassfile {
  readonly path: string;
  readonly role: string;
  readonly servers: readonly { readonly host: string; readonly port: number }[];
}

/** Whether the method works on the old data itself: it cannot be kept then, nor is it bootable half-way. */
export function worksInPlace(method: ReseedMethodName): boolean {
  return method === 'rewind' || method === 'delta';
}

/**
 * The intent as it has to be done: pg_rewind that was begun and not finished has removed what it would need to find out once more what it
 * has to fetch (its manual says to take a new base backup then), so the other way is gone, which never goes back. What it left is not worth keeping. Pure.
 */
export function intentAsItStands(intent: ReseedIntent, mark: SeedMark | undefined): ReseedIntent {
  if (intent.instead === null || mark === undefined || mark.method === undefined) return intent;
  const isOfRewind = mark.method === 'rewind';
  return isOfRewind && mark.phase !== 'seeding' ? intent : { ...intent, ...intent.instead, instead: null, keepOld: false };
}
