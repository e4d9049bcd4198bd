import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../common/file-error.ts';

/** Whom files belong to where we are root. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const DIRECTORY_MODE = 0o700;
const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

/** The directory with its missing parents, 0700, of that owner. Their names are durable when it resolves. */
export async function makeDirectory(path: string, owner: Owner | undefined): Promise<void> {
  try {
    await mkdir(path, DIRECTORY_MODE);
  } catch (thrown) {
    if (errnoOf(thrown) === 'EEXIST') return;
    if (errnoOf(thrown) !== 'ENOENT') throw thrown;
    await makeDirectory(dirname(path), owner);
    await makeDirectory(path, owner);
    return;
  }
  const handle = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncDirectory(dirname(path));
}

/** Makes names in a directory durable: a file's own fsync does not cover its name. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, O_RDONLY | O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
