import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from './file-error.ts';

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

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
  await syncDirectory(dirname(path));
}

/** A new file with a name of its own in `directory`, 0600, its content durable. It becomes visible by a rename or a link. */
export async function writeTemporary(directory: string, content: string): Promise<string> {
  const path = join(directory, `.${process.pid}-${randomBytes(8).toString('hex')}.tmp`);
  const handle = await open(path, 'wx', FILE_MODE);
  try {
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
