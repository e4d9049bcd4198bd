import { constants, copyFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** The first major version whose pg_combinebackup has --link. */
const LINKS_SINCE = 18;
const PROBE = 'spoke-probe';

/**
 * How files that are taken over as they are come from the members into the output: linked, since nobody needs the members afterwards; cloned,
 * where the file system can; else copied. --copy-file-range is left out: where it saves anything, it does it by cloning.
 */
export async function copyMethodOptions(
  postgresMajor: number,
  memberDirectory: string,
  tablespaceLocations: readonly string[],
): Promise<readonly string[]> {
  if (!(await areOnOneFileSystem([memberDirectory, ...tablespaceLocations]))) return [];
  if (postgresMajor >= LINKS_SINCE) return ['--link'];
  return (await canClone(memberDirectory)) ? ['--clone'] : [];
}

/** Tablespaces may go elsewhere; neither links nor clones reach over file systems. */
async function areOnOneFileSystem(paths: readonly string[]): Promise<boolean> {
  const places = await Promise.all(paths.map((path) => stat(path)));
  return new Set(places.map(({ dev }) => dev)).size === 1;
}

/** Tried, not believed: file systems of one kind were made with it or without. */
async function canClone(directory: string): Promise<boolean> {
  const probe = join(directory, PROBE);
  try {
    await copyFile(join(directory, 'PG_VERSION'), probe, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    return false;
  } finally {
    await rm(probe, { force: true });
  }
}
