import { access, type FileHandle, open, readdir, realpath, rmdir, unlink } from 'node:fs/promises';
import { constants, type Dirent } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { SpokeError } from '../../errors.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { awaitUnwritten } from './await-unwritten.ts';
import { openDirectory, syncDirectory } from './durable-files.ts';
import { ifPresent } from '../common/file-error.ts';
import { translating } from './file-error.ts';
import { forbiddenBy } from './forbidden-by.ts';
import { identityOf, lookAt, staleDirectory } from './identity.ts';
import { mountPointOf, mountPointsBelow } from './mounts.ts';
import { requireNotRunning } from './require-not-running.ts';

/**
 * Removes a tree. pg_control goes first, so that what an interrupted removal leaves cannot start. Symbolic links are removed
 * and never followed; nothing on another file system is touched. A tree that is gone is no error.
 * Throws PLAN_STALE, REFUSED_UNSAFE_DIRECTORY, REFUSED_SERVER_RUNNING.
 */
export async function removeDirectory(path: string, identity: string, runner: ProcessRunner): Promise<void> {
  const target = resolve(path);
  const found = await lookAt(target);
  if (found.kind === 'absent') return;
  if (found.kind !== 'directory' || found.identity !== identity)
    throw staleDirectory(target, identity, found.kind === 'directory' ? found.identity : found.kind);
  await requireRemovable(target);
  await requireNotRunning(target, identity, runner);
  await awaitUnwritten(target);
  await translating(`remove ${target}`, async () => {
    await emptyTree(target, identity);
    await rmdir(target);
    await syncDirectory(dirname(target));
  });
}

async function requireRemovable(target: string): Promise<void> {
  const realPath = await translating(`look at ${target}`, () => realpath(target));
  const { forbidden } = await forbiddenBy(realPath);
  if (forbidden !== undefined) throw refusal(target, forbidden);
  if ((await mountPointOf(realPath)) === realPath) throw refusal(target, 'it is a mount point');
  const [mountPoint] = await mountPointsBelow(realPath);
  if (mountPoint !== undefined) throw refusal(target, `${mountPoint}, inside it, is a mount point`);
  await translating(`remove names from ${dirname(target)}`, () => access(dirname(target), constants.W_OK | constants.X_OK));
}

async function emptyTree(target: string, identity: string): Promise<void> {
  const handle = await openDirectory(target);
  try {
    const stats = await handle.stat({ bigint: true });
    if (identityOf(stats) !== identity) throw staleDirectory(target, identity, identityOf(stats));
    await removeControlFile(target, handle);
    await emptyDirectory(target, handle, stats.dev);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function removeControlFile(target: string, handle: FileHandle): Promise<void> {
  const global = await ifPresent(openDirectory(`${throughHandle(target, handle)}/global`));
  if (global === undefined) return;
  try {
    await ifPresent(unlink(`${throughHandle(`${target}/global`, global)}/pg_control`));
    await global.sync();
  } finally {
    await global.close();
  }
}

/** Deletes what is in an open directory. Every step down opens the directory first and then works through that handle. */
async function emptyDirectory(display: string, handle: FileHandle, device: bigint): Promise<void> {
  const base = Buffer.from(`${throughHandle(display, handle)}/`);
  const entries: Dirent<Buffer>[] = await readdir(base, { withFileTypes: true, encoding: 'buffer' });
  for (const entry of entries) {
    const entryPath = Buffer.concat([base, entry.name]);
    if (!entry.isDirectory()) {
      await unlink(entryPath);
      continue;
    }
    const child = await open(entryPath, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    const childDisplay = `${display}/${entry.name.toString()}`;
    try {
      if ((await child.stat({ bigint: true })).dev !== device) throw refusal(display, `${childDisplay} is on another file system`);
      await emptyDirectory(childDisplay, child, device);
    } finally {
      await child.close();
    }
    await rmdir(entryPath);
  }
}

/**
 * A path that leads to the open directory itself, so that nobody who may write in the tree can put a symbolic link in the
 * way between looking and deleting (Linux). Elsewhere the plain path.
 */
function throughHandle(path: string, handle: FileHandle): string {
  return process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : path;
}

function refusal(path: string, why: string): SpokeError {
  return new SpokeError('REFUSED_UNSAFE_DIRECTORY', `${path} is not removed: ${why}.`, { details: { path } });
}
