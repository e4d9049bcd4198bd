import { access, link, rename, unlink } from 'node:fs/promises';
import { errnoOf, ifPresent } from './file-error.ts';

/** How a file system says that it has no links. */
const WITHOUT_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** Gives a temporary file its name unless something has it: false then. The temporary name is gone either way. */
export async function takeFreeName(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
  } catch (thrown) {
    if (errnoOf(thrown) === 'EEXIST') return removeUnnamed(temporary);
    if (!WITHOUT_LINKS.has(errnoOf(thrown) ?? '')) throw thrown;
    if (await isThere(path)) return removeUnnamed(temporary);
    await rename(temporary, path);
    return true;
  }
  await unlink(temporary);
  return true;
}

async function removeUnnamed(temporary: string): Promise<false> {
  await unlink(temporary);
  return false;
}

async function isThere(path: string): Promise<boolean> {
  return (await ifPresent(access(path).then(() => true))) ?? false;
}
