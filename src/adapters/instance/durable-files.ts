import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { SpokeError } from '../../errors.ts';
import type { FileOwner } from '../../ports/instance.ts';
import { errnoOf, ifPresent } from '../common/file-error.ts';
import { ifReadable, translating } from './file-error.ts';
import { lookAt } from './identity.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
const DIRECTORY_MODE = 0o700;

/** Makes names in a directory durable: a file's own fsync does not cover its name. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, O_RDONLY | O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Opens a directory itself, never what a symbolic link points to. */
export function openDirectory(path: string): Promise<FileHandle> {
  return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

/** Gives an open file or directory to its owner, where it is not his already. */
export async function giveTo(handle: FileHandle, owner: FileOwner): Promise<void> {
  const { uid, gid } = await handle.stat();
  if (uid !== owner.uid || gid !== owner.gid) await handle.chown(owner.uid, owner.gid);
}

/**
 * A directory with that owner and 0700, its missing parents likewise. An existing one is left as it is, unless it is empty:
 * an empty one (a fresh mount, say) is given to the owner. Throws REFUSED_UNSAFE_DIRECTORY where something else is there.
 */
export async function createDirectory(path: string, owner: FileOwner): Promise<void> {
  const target = resolve(path);
  await translating(`make the directory ${target}`, async () => {
    await makeMissing(target, owner);
    const handle = await openDirectory(target).catch((thrown: unknown) => {
      throw errnoOf(thrown) === 'ENOTDIR' || errnoOf(thrown) === 'ELOOP' ? notADirectory(target) : thrown;
    });
    try {
      const { uid, mode } = await handle.stat();
      if (uid === owner.uid && (mode & 0o777) === DIRECTORY_MODE) return;
      if ((await readdir(target)).length === 0) await prepare(handle, owner);
      else if (uid !== owner.uid) throw foreignDirectory(target, owner);
    } finally {
      await handle.close();
    }
  });
}

async function makeMissing(path: string, owner: FileOwner): Promise<void> {
  const found = await lookAt(path);
  if (found.kind !== 'absent') return;
  await makeMissing(dirname(path), owner);
  try {
    await mkdir(path, DIRECTORY_MODE);
  } catch (thrown) {
    if (errnoOf(thrown) === 'EEXIST') return;
    throw thrown;
  }
  const handle = await openDirectory(path);
  try {
    await prepare(handle, owner);
  } finally {
    await handle.close();
  }
  await syncDirectory(dirname(path));
}

async function prepare(handle: FileHandle, owner: FileOwner): Promise<void> {
  await giveTo(handle, owner);
  await handle.chmod(DIRECTORY_MODE);
  await handle.sync();
}

/** Writes a whole file under its name at once: whoever reads it sees the old content or the new one, also after a power cut. */
export async function writeFileDurably(path: string, content: string, owner: FileOwner, mode: number): Promise<void> {
  await translating(`write ${path}`, () => replaceFile(path, owner, mode, (handle) => handle.writeFile(content, 'utf8')));
}

/** Removes a file, never what a symbolic link points to. One that is gone is no error. */
export async function removeFileDurably(path: string): Promise<void> {
  await translating(`remove ${path}`, async () => {
    await ifPresent(unlink(path));
    await syncDirectory(dirname(path));
  });
}

/** Fills a new file beside `path`, makes it durable and renames it into place. Nothing is left where `fill` throws. */
export async function replaceFile(
  path: string,
  owner: FileOwner,
  mode: number,
  fill: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}-${crypto.randomUUID()}.tmp`);
  const handle = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    try {
      await giveTo(handle, owner);
      await handle.chmod(mode);
      await fill(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (thrown) {
    await ifReadable(unlink(temporary));
    throw thrown;
  }
  await syncDirectory(dirname(path));
}

function notADirectory(path: string): SpokeError {
  return new SpokeError('REFUSED_UNSAFE_DIRECTORY', `${path} is no directory (a symbolic link is not followed here).`, {
    details: { path },
  });
}

function foreignDirectory(path: string, owner: FileOwner): SpokeError {
  const message = `${path} is not empty and does not belong to ${owner.name} (uid ${owner.uid}).`;
  return new SpokeError('REFUSED_UNSAFE_DIRECTORY', message, { details: { path, owner: owner.name } });
}
