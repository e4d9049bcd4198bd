import { closeSync, constants, fchmodSync, fchownSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Linux: a file without a name (open(2), O_TMPFILE), which has O_DIRECTORY in it. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/**
 * The descriptor of a file that no directory shows, holding `text`: what a child reads as its standard input. Unlike the socket
 * that Node makes of a pipe it can be opened as /dev/stdin, and unlike a file with a name nobody else finds it and nothing is left
 * of it. Whoever asked for it closes it. Synchronous: it is small and in memory, and threads would take longer to start.
 */
export function anonymousFile(text: string, owner: { readonly uid: number; readonly gid: number } | undefined): number {
  const file = openNameless();
  try {
    fchmodSync(file, 0o600);
    if (owner !== undefined && process.getuid?.() === 0) fchownSync(file, owner.uid, owner.gid);
    const bytes = Buffer.from(text);
    for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written, bytes.length - written, written);
    return file;
  } catch (thrown) {
    closeSync(file);
    throw thrown;
  }
}

function openNameless(): number {
  if (process.platform === 'linux') {
    for (const directory of ['/dev/shm', tmpdir()]) {
      try {
        return openSync(directory, O_TMPFILE | constants.O_RDWR, 0o600);
      } catch {
        // Not every file system has nameless files.
      }
    }
  }
  return openAndUnlink();
}

/** Where the system has no nameless files: one in a directory of our own, unlinked before anything is written to it. */
function openAndUnlink(): number {
  const directory = mkdtempSync(join(tmpdir(), 'spoke-'));
  try {
    return openSync(join(directory, 'input'), 'wx+', 0o600);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
