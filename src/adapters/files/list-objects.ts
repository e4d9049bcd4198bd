import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { blobPrefixParts, byKey } from '../../domain/blob/blob-key.ts';
import { instantOfMicros } from '../../domain/time/instant.ts';
import type { BlobInfo } from '../../ports/blob-store.ts';
import { ifPresent } from '../common/file-error.ts';

/** Hidden is what is only half written. */
const isVisible = ({ name }: { readonly name: string }) => !name.startsWith('.');

/** Every object below `root` whose key begins with `prefix`, by key. */
export async function listObjects(root: string, prefix: string, signal: AbortSignal): Promise<readonly BlobInfo[]> {
  const { folders, nameBegin } = blobPrefixParts(prefix);
  const found: BlobInfo[] = [];
  const begin = folders.map((folder) => `${folder}/`).join('');
  for (const entry of await entriesOf(join(root, ...folders)))
    if (entry.name.startsWith(nameBegin)) await collect(root, `${begin}${entry.name}`, entry, found, signal);
  return found.sort(byKey);
}

async function collect(root: string, key: string, entry: Dirent, found: BlobInfo[], signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const path = join(root, key);
  // What is gone since the directory was read is gone.
  const facts = entry.isDirectory() ? undefined : await ifPresent(stat(path, { bigint: true }));
  if (entry.isDirectory() || facts?.isDirectory() === true) {
    for (const below of await entriesOf(path)) await collect(root, `${key}/${below.name}`, below, found, signal);
  } else if (facts?.isFile() === true)
    found.push({ key, sizeBytes: Number(facts.size), modifiedAt: instantOfMicros(facts.mtimeNs / 1000n) });
}

/** The names of what lies right below `prefix` and has an object below itself. */
export async function listFolders(root: string, prefix: string, signal: AbortSignal): Promise<readonly string[]> {
  const { folders, nameBegin } = blobPrefixParts(prefix);
  if (nameBegin !== '') throw new RangeError(`not the prefix of folders: ${JSON.stringify(prefix)}`);
  const directory = join(root, ...folders);
  const names: string[] = [];
  for (const entry of await entriesOf(directory)) {
    signal.throwIfAborted();
    if (!entry.isFile() && (await hasObject(join(directory, entry.name)))) names.push(entry.name);
  }
  return names.sort();
}

/** Whether there is an object below a directory. */
async function hasObject(path: string): Promise<boolean> {
  const entries = await entriesOf(path);
  if (entries.some((entry) => entry.isFile())) return true;
  for (const { name } of entries) if (await hasObject(join(path, name))) return true;
  return false;
}

/** Nothing where there is no such directory. */
async function entriesOf(path: string): Promise<readonly Dirent[]> {
  return ((await ifPresent(readdir(path, { withFileTypes: true }))) ?? []).filter(isVisible);
}
