import { constants } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Linux: a file without a name (open(2), O_TMPFILE), which has O_DIRECTORY in it. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/**
 * A file that no directory shows, holding `text`: what a child reads as its standard input. Unlike the socket that Node makes
 * of a pipe it can be opened as /dev/stdin, and unlike a file with a name nobody else finds it and nothing is left of it.
 */
export async function anonymousFile(text: string, owner: { readonly uid: number; readonly gid: number } | undefined): Promise<FileHandle> {
  const file = await openNameless();
  try {
    await file.chmod(0o600);
    if (owner !== undefined && process.getuid?.() === 0) await file.chown(owner.uid, owner.gid);
    const bytes = Buffer.from(text);
    for (let written = 0; written < bytes.length; )
      written += (await file.write(bytes, written, bytes.length - written, written)).bytesWritten;
    return file;
  } catch (thrown) {
    await file.close();
    throw thrown;
  }
}

async function openNameless(): Promise<FileHandle> {
  if (process.platform === 'linux') {
    for (const directory of ['/dev/shm', tmpdir()]) {
      const file = await open(directory, O_TMPFILE | constants.O_RDWR, 0o600).catch(() => undefined);
      if (file !== undefined) return file;
    }
  }
  return openAndUnlink();
}

/** Where the system has no nameless files: one in a directory of our own, unlinked before anything is written to it. */
async function openAndUnlink(): Promise<FileHandle> {
  const directory = await mkdtemp(join(tmpdir(), 'spoke-'));
  try {
    return await open(join(directory, 'input'), 'wx+', 0o600);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
