import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { untilAborted } from '../../domain/blob/until-aborted.ts';
import { makeDirectory, type Owner, syncDirectory } from './durable-directory.ts';
import { errnoOf, ifPresent } from './file-error.ts';

export interface Target {
  readonly root: string;
  /** Below the root. */
  readonly path: string;
  readonly owner: Owner | undefined;
}

const FILE_MODE = 0o600;
/** A directory may be removed, being empty, between being made and getting its file. */
const ATTEMPTS = 5;

/** Fills a hidden file beside the target, makes it durable, renames it into place, and makes every name on the way durable. */
export async function writeDurably(target: Target, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  const { path, owner } = target;
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}-${crypto.randomUUID()}.tmp`);
  const handle = await openInDirectory(temporary, owner);
  try {
    try {
      if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
      for await (const piece of untilAborted(source, signal)) await writeAll(handle, piece);
      await handle.sync();
    } finally {
      await handle.close();
    }
    signal.throwIfAborted();
    await rename(temporary, path);
  } catch (thrown) {
    await ifPresent(unlink(temporary)).catch(() => undefined);
    throw thrown;
  }
  await syncUpTo(target);
}

async function openInDirectory(path: string, owner: Owner | undefined): Promise<FileHandle> {
  for (let attempt = 1; ; attempt += 1) {
    await makeDirectory(dirname(path), owner);
    try {
      return await open(path, 'wx', FILE_MODE);
    } catch (thrown) {
      if (errnoOf(thrown) !== 'ENOENT' || attempt === ATTEMPTS) throw thrown;
    }
  }
}

async function writeAll(handle: FileHandle, piece: Uint8Array): Promise<void> {
  for (let offset = 0; offset < piece.length; ) offset += (await handle.write(piece, offset)).bytesWritten;
}

/** Also those directories that somebody else made a moment ago: he may not have come to it yet. */
async function syncUpTo({ root, path }: Target): Promise<void> {
  for (let directory = dirname(path); ; directory = dirname(directory)) {
    await syncDirectory(directory);
    if (directory === root || directory === dirname(directory)) return;
  }
}
