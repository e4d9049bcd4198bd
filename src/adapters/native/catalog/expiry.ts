import type { BackupLabel } from '../../../domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import { backupKey, noteKey, SUMS_NAME, WAL_PREFIX } from '../../../domain/native/layout.ts';
import { keepsWalFile } from '../../../domain/native/needed-wal.ts';
import { SpokeError } from '../../../errors.ts';
import type { AnnotateRequest, BackupEngine, ExpireBackupRequest, ExpireWalRequest } from '../../../ports/backup-engine.ts';
import type { BlobStore } from '../../../ports/blob-store.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { removeHalves } from '../backup/destinations.ts';
import { cancellable } from '../cancelled.ts';
import { whileLocked } from '../lock.ts';
import { type NativeParts, repositoryOf, storeOf } from '../parts.ts';
import type { BackupFolder, NativeCatalog } from './catalog.ts';
import { NOTES_PREFIX, requireNoteKey, writeNote } from './notes.ts';
import type { RecentReads } from '../../common/recent-reads.ts';
import { walFileOf } from './wal-listing.ts';

type NativeExpiry = Pick<
  BackupEngine,
  'previewExpireBackup' | 'previewExpireWal' | 'previewAnnotate' | 'expireBackup' | 'expireWal' | 'annotateBackup'
>;

/** The part of the engine's port that lets things go, and notes. */
export function createExpiry(parts: NativeParts, catalog: NativeCatalog, recent: RecentReads): NativeExpiry {
  const { settings } = parts;
  const placeOf = (name: ExpireBackupRequest['repository']) => `repository ${repositoryOf(settings, name).name}`;
  const changing = (context: OperationContext, work: () => Promise<void>) =>
    recent.changing(() => cancellable(context.signal, () => whileLocked(parts, context, work)));
  return {
    previewExpireBackup: ({ repository, label, dependents }) =>
      [...dependents.toReversed(), label].map((one) => ({ argv: ['(remove)', `backups/${one}`, placeOf(repository)] })),
    previewExpireWal: ({ repository, floor }) => [{ argv: ['(remove)', `wal/ before ${floor}`, placeOf(repository)] }],
    previewAnnotate: ({ repository, label, key, value }) => [
      { argv: [value === '' ? '(remove)' : '(write)', noteKey(label, requireNoteKey(key)), placeOf(repository)] },
    ],
    expireBackup: (request, context) => changing(context, () => expireBackup(parts, catalog, request, context)),
    expireWal: (request, context) => changing(context, () => expireWal(parts, catalog, request, context)),
    annotateBackup: (request, context) =>
      recent.changing(() => cancellable(context.signal, () => annotateBackup(parts, catalog, request, context))),
  };
}

/** Every SHA256SUMS goes before anything else does: from then on none of them is a backup, whatever comes between. */
async function expireBackup(
  parts: NativeParts,
  catalog: NativeCatalog,
  { repository, label, dependents }: ExpireBackupRequest,
  { signal }: OperationContext,
): Promise<void> {
  const store = await storeOf(parts, repository);
  const folders = await catalog.listFolders(repository, signal);
  const { records } = await catalog.listBackups(repository, signal);
  const needing = records.filter(({ references, prior }) => prior === label || references.includes(label)).map((record) => record.label);
  const unwanted = needing.filter((one) => !dependents.includes(one));
  if (unwanted.length > 0)
    throw new SpokeError('PLAN_STALE', `${unwanted.join(', ')} in repository ${repository} needs ${label}: nothing was expired`);
  const going = folders.filter((folder) => folder.label === label || needing.includes(folder.label)).toReversed();
  await store.delete(
    going.filter(({ isComplete }) => isComplete).map((folder) => backupKey(folder.label, SUMS_NAME)),
    signal,
  );
  for (const folder of going) await removeFolder(store, folder, signal);
}

async function removeFolder(store: BlobStore, { label, objects }: BackupFolder, signal: AbortSignal): Promise<void> {
  const keys = [...objects].filter(([name]) => name !== SUMS_NAME).map(([, { key }]) => key);
  await store.delete(keys, signal);
  await removeNotes(store, label, signal);
}

async function removeNotes(store: BlobStore, label: BackupLabel, signal: AbortSignal): Promise<void> {
  const notes = await store.list(`${NOTES_PREFIX}${label}/`, signal);
  await store.delete(
    notes.map(({ key }) => key),
    signal,
  );
}

/** Oldest first, so that what an interrupted one leaves has no holes. Histories never go. */
async function expireWal(
  parts: NativeParts,
  catalog: NativeCatalog,
  { repository, floor }: ExpireWalRequest,
  { signal }: OperationContext,
): Promise<void> {
  const store = await storeOf(parts, repository);
  const { records, damaged } = await catalog.listBackups(repository, signal);
  const place = records.findIndex(({ label, type }) => label === floor && type === 'full');
  if (place < 0) throw new SpokeError('PLAN_STALE', `repository ${repository} has no full backup ${floor} any more`);
  if (damaged.length > 0)
    throw new SpokeError(
      'BACKUP_DAMAGED',
      `which WAL ${damaged.map(({ label }) => label).join(', ')} needs cannot be told: none was expired`,
      {
        hint: `See what is damaged: spoke-backup verify. What cannot be mended goes by hand, its SHA256SUMS first.`,
      },
    );
  const keep = keptBy(records, place);
  const going = (await store.list(WAL_PREFIX, signal)).filter((info) => {
    const name = walFileOf(info);
    return name !== undefined && !keep(name);
  });
  await store.delete(
    going.map(({ key }) => key),
    signal,
  );
  const folders = await catalog.listFolders(repository, signal);
  await removeHalves(store, folders, signal);
  await removeOrphanNotes(store, folders, signal);
}

function keptBy(records: readonly BackupRecord[], place: number): (walFile: string) => boolean {
  const [older, fromFloor] = [records.slice(0, place), records.slice(place)];
  return (walFile) => keepsWalFile(walFile, { older, fromFloor });
}

/** Of backups that are gone. */
async function removeOrphanNotes(store: BlobStore, folders: readonly BackupFolder[], signal: AbortSignal): Promise<void> {
  const present = new Set(folders.filter(({ isComplete }) => isComplete).map(({ label }): string => label));
  const notes = await store.list(NOTES_PREFIX, signal);
  const orphans = notes.filter(({ key }) => !present.has(key.slice(NOTES_PREFIX.length).split('/')[0] ?? ''));
  await store.delete(
    orphans.map(({ key }) => key),
    signal,
  );
}

async function annotateBackup(
  parts: NativeParts,
  catalog: NativeCatalog,
  { repository, label, key, value }: AnnotateRequest,
  { signal }: OperationContext,
): Promise<void> {
  await catalog.readSums(repository, label, signal);
  await writeNote(await storeOf(parts, repository), label, key, value, signal);
}
