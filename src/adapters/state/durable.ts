import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from '../common/file-error.ts';

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/**
 * As root, gives an open file to the owner of the directory it lies in: who owns the state directory reads everything in it,
 * whoever ran this program.
 */
export async function inheritOwner(handle: FileHandle, directory: string): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const [own, { uid, gid }] = [await handle.stat(), await stat(directory)];
  if (own.uid !== uid || own.gid !== gid) await handle.chown(uid, gid);
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The directory with its parents, 0700, durable. */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, DIRECTORY_MODE);
  } catch (thrown) {
    if (errnoOf(thrown) === 'EEXIST') return;
    if (errnoOf(thrown) !== 'ENOENT') throw thrown;
    await makeDirectory(dirname(path));
    await makeDirectory(path);
    return;
  }
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    await inheritOwner(handle, dirname(path));
  } finally {
    await handle.close();
  }
  await syncDirectory(dirname(path));
}

/** A new file with a name of its own in `directory`, 0600, its content durable. It becomes visible by a rename or a link. */
export async function writeTemporary(directory: string, content: string): Promise<string> {
  const path = join(directory, `.${process.pid}-${crypto.randomUUID()}.tmp`);
  const handle = await open(path, 'wx', FILE_MODE);
  try {
    await inheritOwner(handle, directory);
    await handle.writeFile(content, 'utf8');
    await handle.sync();
  } catch (thrown) {
    await removeIfThere(path);
    throw thrown;
  } finally {
    await handle.close();
  }
  return path;
}

export async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (thrown) {
    if (errnoOf(thrown) !== 'ENOENT') throw thrown;
  }
}
