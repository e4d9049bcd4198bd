import { access, type FileHandle, link, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { untilAborted } from '../../domain/blob/until-aborted.ts';
import { makeDirectory, type Owner, syncDirectory } from './durable-directory.ts';
import { errnoOf, ifPresent } from '../common/file-error.ts';

export interface Target {
  readonly root: string;
  /** Below the root. */
  readonly path: string;
  readonly owner: Owner | undefined;
}

const FILE_MODE = 0o600;
/** How a file system says that it has no links. */
const WITHOUT_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);
/** A directory may be removed, being empty, between being made and getting its file. */
const ATTEMPTS = 5;

/** Gives the temporary file its name, and takes the temporary one away; false where it may not have it. */
type Naming = (temporary: string, path: string) => Promise<boolean>;

/** Fills a hidden file beside the target, makes it durable, renames it into place, and makes every name on the way durable. */
export async function writeDurably(target: Target, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  await writeAs(replace, target, source, signal);
}

/** The same, but replaces nothing: false where something has the name, which is durable then, too. */
export function writeNewDurably(target: Target, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<boolean> {
  return writeAs(takeFreeName, target, source, signal);
}

async function replace(temporary: string, path: string): Promise<boolean> {
  await rename(temporary, path);
  return true;
}

async function takeFreeName(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
  } catch (thrown) {
    if (errnoOf(thrown) === 'EEXIST') return removeUnnamed(temporary);
    if (!WITHOUT_LINKS.has(errnoOf(thrown) ?? '')) throw thrown;
    if (await isThere(path)) return removeUnnamed(temporary);
    return replace(temporary, path);
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

async function writeAs(name: Naming, target: Target, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<boolean> {
  const { path, owner } = target;
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}-${crypto.randomUUID()}.tmp`);
  const handle = await openInDirectory(temporary, owner);
  let isNamed: boolean;
  try {
    try {
      if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
      for await (const piece of untilAborted(source, signal)) await writeAll(handle, piece);
      await handle.sync();
    } finally {
      await handle.close();
    }
    signal.throwIfAborted();
    isNamed = await name(temporary, path);
  } catch (thrown) {
    await ifPresent(unlink(temporary)).catch(() => undefined);
    throw thrown;
  }
  await syncUpTo(target);
  return isNamed;
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
