import type { BackupLabel, RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import type { ClusterRecord } from '../../../domain/native/cluster-record.ts';
import { instantOfLabel, isNativeLabel } from '../../../domain/native/label.ts';
import { BACKUPS_PREFIX, backupKey, CLUSTER_KEY, RECORD_NAME, SUMS_NAME } from '../../../domain/native/layout.ts';
import { parseBackupRecord, parseClusterRecord } from '../../../domain/native/record-text.ts';
import { parseSums } from '../../../domain/native/sums-text.ts';
import { SpokeError } from '../../../errors.ts';
import type { BlobInfo, BlobReader } from '../../../ports/blob-store.ts';
import { type NativeParts, storeOf } from '../parts.ts';

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

/** What lies in one folder below `backups/`. */
export interface BackupFolder {
  readonly label: BackupLabel;
  /** By name, without the folder. */
  readonly objects: ReadonlyMap<string, BlobInfo>;
  /** Whether it has its SHA256SUMS: else something is at work on it, or was. */
  readonly isComplete: boolean;
}

/** What is in the repositories, as read from their stores. Nothing is kept but what never changes. */
export interface NativeCatalog {
  /** Undefined where the repository was not set up. Throws TOOL_UNSUPPORTED for a newer layout, REPOSITORY_UNAVAILABLE for a damaged file. */
  readCluster(repository: RepositoryName, signal: AbortSignal): Promise<ClusterRecord | undefined>;
  /** In the order of the labels. */
  listFolders(repository: RepositoryName, signal: AbortSignal): Promise<readonly BackupFolder[]>;
  /** Every backup that is complete. */
  listBackups(repository: RepositoryName, signal: AbortSignal): Promise<ListedBackups>;
  /** Throws TARGET_NOT_FOUND where there is no such backup; BACKUP_DAMAGED where its record cannot be read. */
  readRecord(repository: RepositoryName, label: BackupLabel, signal: AbortSignal): Promise<BackupRecord>;
  /** SHA-256 in hexadecimal by the object's name in the backup's folder. Throws as readRecord does. */
  readSums(repository: RepositoryName, label: BackupLabel, signal: AbortSignal): Promise<ReadonlyMap<string, string>>;
}

/** Of a complete backup, which never changes: by repository, label and the time of its SHA256SUMS. */
type KnownRecords = Map<string, BackupRecord>;

export function createCatalog(parts: Pick<NativeParts, 'settings'>): NativeCatalog {
  const known: KnownRecords = new Map();
  const listFolders = async (name: RepositoryName, signal: AbortSignal) =>
    foldersOf(await (await storeOf(parts, name)).list(BACKUPS_PREFIX, signal));
  return {
    listFolders,
    async readCluster(name, signal) {
      const bytes = await (await storeOf(parts, name)).read(CLUSTER_KEY, signal);
      return bytes === undefined ? undefined : clusterOf(name, bytes);
    },
    async listBackups(name, signal) {
      const store = await storeOf(parts, name);
      const complete = (await listFolders(name, signal)).filter(({ isComplete }) => isComplete);
      return readAll(store, name, complete, known, signal);
    },
    readRecord: async (name, label, signal) => readRecord(await storeOf(parts, name), name, label, signal),
    async readSums(name, label, signal) {
      return sumsOf(label, await readOf(await storeOf(parts, name), name, label, SUMS_NAME, signal));
    },
  };
}

export function foldersOf(objects: readonly BlobInfo[]): readonly BackupFolder[] {
  const folders = new Map<BackupLabel, Map<string, BlobInfo>>();
  for (const info of objects) {
    const [label = '', ...rest] = info.key.slice(BACKUPS_PREFIX.length).split('/');
    if (!isNativeLabel(label) || rest.length === 0) continue;
    const folder = folders.get(label) ?? new Map<string, BlobInfo>();
    folders.set(label, folder.set(rest.join('/'), info));
  }
  return [...folders].map(([label, found]) => ({ label, objects: found, isComplete: found.has(SUMS_NAME) }));
}

function clusterOf(name: RepositoryName, bytes: Uint8Array): ClusterRecord {
  try {
    return parseClusterRecord(textOf(bytes));
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown;
    throw new SpokeError('REPOSITORY_UNAVAILABLE', `repository ${name}: its ${CLUSTER_KEY} is damaged: ${thrown.message}`, {
      hint: `Put it back by hand from another repository of the cluster, or from what docs/native-repository.md says.`,
      cause: thrown,
    });
  }
}

async function readAll(
  store: BlobReader,
  name: RepositoryName,
  folders: readonly BackupFolder[],
  known: KnownRecords,
  signal: AbortSignal,
): Promise<ListedBackups> {
  const records: BackupRecord[] = [];
  const damaged: DamagedBackup[] = [];
  for (const { label, objects } of folders) {
    const key = `${name} ${label} ${objects.get(SUMS_NAME)?.modifiedAt ?? ''}`;
    try {
      const record = known.get(key) ?? (await readRecord(store, name, label, signal));
      known.set(key, record);
      records.push(record);
    } catch (thrown) {
      if (!(thrown instanceof SpokeError)) throw thrown;
      // One that is gone by now was expired meanwhile.
      if (thrown.code === 'BACKUP_DAMAGED' || thrown.code === 'TOOL_UNSUPPORTED') damaged.push({ label, why: thrown.message });
      else if (thrown.code !== 'TARGET_NOT_FOUND') throw thrown;
    }
  }
  // By their own second, in which no two began: the name of an incremental begins with that of its full backup.
  records.sort((a, b) => Number((instantOfLabel(a.label) ?? 0n) - (instantOfLabel(b.label) ?? 0n)));
  return { records, damaged };
}

async function readRecord(store: BlobReader, name: RepositoryName, label: BackupLabel, signal: AbortSignal): Promise<BackupRecord> {
  const sums = sumsOf(label, await readOf(store, name, label, SUMS_NAME, signal));
  const bytes = await store.read(backupKey(label, RECORD_NAME), signal);
  if (bytes === undefined) throw damage(label, `${RECORD_NAME} is missing`);
  if (sums.get(RECORD_NAME) !== (await sha256Of(bytes))) throw damage(label, `${RECORD_NAME} is not what ${SUMS_NAME} says`);
  try {
    return parseBackupRecord(textOf(bytes), label);
  } catch (thrown) {
    if (thrown instanceof RangeError) throw damage(label, `${RECORD_NAME}: ${thrown.message}`, thrown);
    throw thrown;
  }
}

async function readOf(
  store: BlobReader,
  name: RepositoryName,
  label: BackupLabel,
  object: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const bytes = await store.read(backupKey(label, object), signal);
  if (bytes !== undefined) return bytes;
  throw new SpokeError('TARGET_NOT_FOUND', `repository ${name} has no backup ${label}`, {
    hint: 'See what there is: spoke-backup backups',
  });
}

function sumsOf(label: BackupLabel, bytes: Uint8Array): ReadonlyMap<string, string> {
  try {
    return parseSums(textOf(bytes));
  } catch (thrown) {
    if (thrown instanceof RangeError) throw damage(label, `${SUMS_NAME}: ${thrown.message}`, thrown);
    throw thrown;
  }
}

async function sha256Of(bytes: Uint8Array): Promise<string> {
  const { createHash } = await import('node:crypto');
  return createHash('sha256').update(bytes).digest('hex');
}

function damage(label: BackupLabel, why: string, cause?: unknown): SpokeError {
  return new SpokeError('BACKUP_DAMAGED', `backup ${label} is damaged: ${why}`, {
    details: { label },
    ...(cause === undefined ? {} : { cause }),
  });
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
