import { join } from 'node:path';
import type { RepositoryName } from '../../../domain/catalog/base-backup.ts';
import { walFileOfStored, walFolder } from '../../../domain/native/layout.ts';
import type { NativeRepository, NativeSettings } from '../settings.ts';

type PlaceSettings = Pick<NativeSettings, 'directory' | 'repositories'>;

/** The first place that WAL becomes durable in: the first repository on this machine, else a spool that is emptied again. */
export interface WalHome {
  readonly directory: string;
  /** Absent where it is the spool. */
  readonly repository?: NativeRepository;
}

export function homeOf(settings: PlaceSettings): WalHome {
  for (const repository of settings.repositories)
    if (repository.directory !== undefined) return { directory: repository.directory, repository };
  return { directory: join(spoolOf(settings), 'home') };
}

/** The repositories that the shipper fills from home. */
export function destinationsOf(settings: PlaceSettings): readonly NativeRepository[] {
  const home = homeOf(settings).repository;
  return settings.repositories.filter((repository) => repository !== home);
}

/** What spoke-wal-push and spoke-wal-get read: no secrets. */
export function confFileOf({ directory }: PlaceSettings): string {
  return join(directory, 'wal.conf');
}

/** How repositories are reached that are not on this machine; beside the other, where spoke-wal-get looks for it. Secret. */
export function accessFileOf({ directory }: PlaceSettings): string {
  return join(directory, 'access.json');
}

/** The public keys that age encrypts for, one a line. */
export function recipientsFileOf({ directory }: PlaceSettings): string {
  return join(directory, 'recipients');
}

export function spoolOf({ directory }: PlaceSettings): string {
  return join(directory, 'spool');
}

/** A file each that a repository does not have yet, named as it is stored. Hints: what is missing here is found by comparing. */
export function todoOf(settings: PlaceSettings, repository: RepositoryName): string {
  return join(spoolOf(settings), 'todo', repository);
}

/** Why a repository does not get what it should: a file each repository, written by the shipper. */
export function errorsOf(settings: PlaceSettings): string {
  return join(spoolOf(settings), 'errors');
}

/** Until when what came to home was found in a repository, too. */
export function reconciledNoteOf(settings: PlaceSettings, repository: RepositoryName): string {
  return join(spoolOf(settings), `reconciled-${repository}`);
}

/** Why archive_command failed last for a file: a file each, written by spoke-wal-push. */
export function failedOf(settings: PlaceSettings): string {
  return join(spoolOf(settings), 'failed');
}

/** Sums of what was encrypted here, a file for each folder of WAL. */
export function sumsOf(settings: PlaceSettings): string {
  return join(spoolOf(settings), 'sums');
}

/** A file each that home holds as it is and that is to be packed, named as PostgreSQL names it. Hints, too. */
export function packOf(settings: PlaceSettings): string {
  return join(spoolOf(settings), 'pack');
}

/** Which process ships. */
export function shipperNoteOf(settings: PlaceSettings): string {
  return join(spoolOf(settings), 'shipper');
}

/** Which process packs what archive_command leaves as it is. Without one it packs itself. */
export function packerNoteOf(settings: PlaceSettings): string {
  return join(spoolOf(settings), 'packer');
}

/**
 * Whether archive_command may leave a segment as it is, for whoever packs it behind: nothing is to be encrypted, and no second repository
 * on this machine waits for its copy.
 */
export function isPackedBehind({ encryption, repositories }: Pick<NativeSettings, 'encryption' | 'repositories'>): boolean {
  return encryption === undefined && repositories.filter(({ directory }) => directory !== undefined).length <= 1;
}

/** The key of a file that is stored as `stored`. Throws RangeError for what is no WAL. */
export function keyOfStored(stored: string): string {
  return `${walFolder(walFileOfStored(stored) ?? stored)}${stored}`;
}
