import { readdir, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Instant, instantOfMicros } from '../../domain/time/instant.ts';
import { syncDirectory } from './durable-directory.ts';
import { errnoOf, ifPresent } from '../common/file-error.ts';

/** One after the other; the first is durably gone before the next goes, since a reader looks at it first. Directories that become empty go, too. */
export async function removeObjects(root: string, paths: readonly string[], signal: AbortSignal): Promise<void> {
  for (const [index, path] of paths.entries()) {
    signal.throwIfAborted();
    const directory = dirname(path);
    const next = paths[index + 1];
    const isLastThere = next === undefined || dirname(next) !== directory;
    if ((await removed(path)) && (index === 0 || isLastThere)) await syncDirectory(directory);
    if (isLastThere) await removeEmpty(root, directory);
  }
}

async function removed(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT' || errnoOf(thrown) === 'ENOTDIR') return false;
    throw thrown;
  }
}

/** A directory and its parents below the root, as far as they are empty. */
async function removeEmpty(root: string, directory: string): Promise<void> {
  for (let place = directory; place.startsWith(`${root}/`); place = dirname(place)) {
    try {
      await rmdir(place);
    } catch (thrown) {
      if (errnoOf(thrown) !== 'ENOENT') return;
    }
  }
}

/** Hidden `.tmp` files that were last written before an instant: whoever wrote them is gone. Returns how many there were. */
export async function removeUnfinished(root: string, before: Instant, signal: AbortSignal): Promise<number> {
  let count = 0;
  for (const entry of (await ifPresent(readdir(root, { withFileTypes: true, recursive: true }))) ?? []) {
    signal.throwIfAborted();
    if (!entry.isFile() || !/^\..*\.tmp$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    const facts = await ifPresent(stat(path, { bigint: true }));
    if (facts === undefined || instantOfMicros(facts.mtimeNs / 1000n) >= before) continue;
    if (await removed(path)) count += 1;
    await removeEmpty(root, entry.parentPath);
  }
  return count;
}
