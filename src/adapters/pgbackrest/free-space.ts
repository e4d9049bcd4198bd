import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Less than this cannot hold what is written next; pgBackRest takes its half-written file away, so some is free again. */
const FULL_BELOW_BYTES = 16 * 1024 * 1024;

/** Whether the file system that a path lies in, or would lie in, has next to nothing left: of bytes or of inodes. */
export async function isFileSystemFull(path: string): Promise<boolean> {
  for (let place = path; ; place = dirname(place)) {
    try {
      const { bavail, bsize, ffree, files } = await statfs(place);
      return bavail * bsize < FULL_BELOW_BYTES || (files > 0 && ffree === 0);
    } catch {
      if (place === dirname(place)) return false;
    }
  }
}
