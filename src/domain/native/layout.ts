import type { BackupLabel } from '../catalog/base-backup.ts';
import { classifyWalFile, isWalSegmentName } from '../postgres/wal-segment.ts';

/** Of the layout in a repository. A reader refuses a newer one. */
export const LAYOUT_VERSION = 1;

/** How a file was made smaller, and the end of its name that says so. */
export type NativeCompressType = 'zst' | 'lz4';

/** The keys of a native repository, below its root. docs/native-repository.md describes them for people. */
export const CLUSTER_KEY = 'cluster.json';
export const BACKUPS_PREFIX = 'backups/';
export const WAL_PREFIX = 'wal/';

/** Written last: a backup without it is not one. */
export const SUMS_NAME = 'SHA256SUMS';
export const RECORD_NAME = 'backup.json';
export const MANIFEST_NAME = 'backup_manifest';

export function backupKey(label: BackupLabel, name: string): string {
  return `${BACKUPS_PREFIX}${label}/${name}`;
}

/** Where what is noted with a backup lies: apart from the backup, which never changes. */
export function noteKey(label: BackupLabel, key: string): string {
  return `notes/${label}/${key}`;
}

/** `.zst`, or `.zst.age` where it is encrypted. */
export function storedSuffix(compressType: NativeCompressType, isEncrypted: boolean): string {
  return `.${compressType}${isEncrypted ? '.age' : ''}`;
}

/**
 * The folder of a WAL file: segments by their first sixteen digits, so that a folder holds 4 GiB of WAL; histories beside the folders.
 * Throws RangeError for what is no file of the archive.
 */
export function walFolder(walFileName: string): string {
  const kind = classifyWalFile(walFileName);
  if (kind === 'other') throw new RangeError(`not a file of the WAL archive: "${walFileName}"`);
  return kind === 'history' ? WAL_PREFIX : `${WAL_PREFIX}${walFileName.slice(0, 16)}/`;
}

/** The key of a WAL file as it is stored. */
export function walKey(walFileName: string, compressType: NativeCompressType, isEncrypted: boolean): string {
  return `${walFolder(walFileName)}${walFileName}${storedSuffix(compressType, isEncrypted)}`;
}

const PACKED = /^([0-9A-F]{8}[0-9A-Za-z.]*?)\.(zst|lz4)(?:\.age)?$/;
const WAL_KEY = /^wal\/(?:[0-9A-F]{16}\/)?([^/]+)$/;

/**
 * PostgreSQL's name of a WAL file that is stored as `stored`; undefined for what is no WAL. A segment may be stored as it is, under its own
 * name: a local repository and the spool hold the newest ones so until they are packed.
 */
export function walFileOfStored(stored: string): string | undefined {
  if (isWalSegmentName(stored)) return stored;
  const name = PACKED.exec(stored)?.[1];
  return name === undefined || classifyWalFile(name) === 'other' ? undefined : name;
}

/** The same of a whole key. */
export function walFileOfKey(key: string): string | undefined {
  const stored = WAL_KEY.exec(key)?.[1];
  return stored === undefined ? undefined : walFileOfStored(stored);
}

/** By what a file is packed that is stored as `stored`; undefined for what is stored as it is. */
export function compressTypeOfStored(stored: string): NativeCompressType | undefined {
  return PACKED.exec(stored)?.[2] as NativeCompressType | undefined;
}
