import { createHash } from 'node:crypto';
import type { BackupLabel } from '../../../domain/catalog/base-backup.ts';
import { isNativeLabel } from '../../../domain/native/label.ts';
import { noteKey } from '../../../domain/native/layout.ts';
import { type Instant, secondsBetween } from '../../../domain/time/instant.ts';
import { SpokeError } from '../../../errors.ts';
import type { BlobInfo, BlobReader, BlobStore } from '../../../ports/blob-store.ts';

export const NOTES_PREFIX = 'notes/';
const KEY = /^[\w.-]{1,100}$/;
/** `<sha256 of the value>\n<value>` */
const HASH_LENGTH = 64;
const SETTLED_AFTER_SECONDS = 60;

export type Notes = ReadonlyMap<BackupLabel, Readonly<Record<string, string>>>;
/** By key, time and size: what was read of a note that has not changed since. */
export type KnownNotes = Map<string, string>;

/** Throws USAGE for a key that is no name. */
export function requireNoteKey(key: string): string {
  if (KEY.test(key)) return key;
  throw new SpokeError('USAGE', `"${key}" cannot be the key of an annotation: letters, digits, ".", "_" and "-"`);
}

/** Everything that is noted with backups. Notes that are gone by the time they are read are left out. */
export async function readNotes(store: BlobReader, known: KnownNotes, now: Instant, signal: AbortSignal): Promise<Notes> {
  const notes = new Map<BackupLabel, Record<string, string>>();
  for (const info of await store.list(NOTES_PREFIX, signal)) {
    const { label, key } = placeOf(info);
    if (label === undefined) continue;
    const value = await readNote(store, info, known, now, signal);
    if (value !== undefined) notes.set(label, { ...notes.get(label), [key]: value });
  }
  return notes;
}

/** The notes that are not what was written, one line each. */
export async function findDamagedNotes(store: BlobReader, signal: AbortSignal): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const info of await store.list(NOTES_PREFIX, signal)) {
    const bytes = await store.read(info.key, signal);
    if (bytes !== undefined && !isWhole(bytes)) faults.push(`${info.key}: it is not what was noted`);
  }
  return faults;
}

export async function writeNote(store: BlobStore, label: BackupLabel, key: string, value: string, signal: AbortSignal): Promise<void> {
  const name = noteKey(label, requireNoteKey(key));
  if (value === '') await store.delete([name], signal);
  else await store.write(name, Buffer.from(`${hashOf(Buffer.from(value))}\n${value}`), signal);
}

function placeOf(info: BlobInfo): { readonly label?: BackupLabel; readonly key: string } {
  const [label = '', key = ''] = info.key.slice(NOTES_PREFIX.length).split('/');
  return isNativeLabel(label) && key !== '' ? { label, key } : { key };
}

/** Of one that is damaged what is left of it: a pin that cannot be read still shows. */
async function readNote(
  store: BlobReader,
  info: BlobInfo,
  known: KnownNotes,
  now: Instant,
  signal: AbortSignal,
): Promise<string | undefined> {
  const version = `${store.place} ${info.key} ${info.modifiedAt} ${info.sizeBytes}`;
  const found = known.get(version);
  if (found !== undefined) return found;
  const bytes = await store.read(info.key, signal);
  if (bytes === undefined) return undefined;
  const value = Buffer.from(bytes.subarray(HASH_LENGTH + 1)).toString('utf8');
  // It may be written again within what the store's clock tells apart.
  if (secondsBetween(info.modifiedAt, now) > SETTLED_AFTER_SECONDS) known.set(version, value);
  return value;
}

function isWhole(bytes: Uint8Array): boolean {
  const head = Buffer.from(bytes.subarray(0, HASH_LENGTH + 1)).toString('latin1');
  return head === `${hashOf(bytes.subarray(HASH_LENGTH + 1))}\n`;
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
