import { stat, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { blobKeyParts } from '../../domain/blob/blob-key.ts';
import { SpokeError } from '../../errors.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import type { Owner } from './durable-directory.ts';
import { ifPresent } from '../common/file-error.ts';
import { guarded } from './file-error.ts';
import { listFolders, listObjects } from './list-objects.ts';
import { openPieces, readWhole } from './read-file.ts';
import { removeObjects, removeUnfinished } from './remove.ts';
import { writeDurably, writeNewDurably } from './write-durably.ts';

export interface FileBlobStoreOptions {
  /** The root; made when something is written first. */
  readonly directory: string;
  /** Whom everything belongs to that is made, where we are root. */
  readonly owner?: Owner;
}

/**
 * Objects as plain files, 0600 in directories of 0700, each below its key. A name that begins with a dot is not an object: written is
 * under `.<name>.<something>.tmp` in the same directory, and renamed when it is durable.
 */
export function createFileBlobStore({ directory, owner }: FileBlobStoreOptions): BlobStore {
  const root = resolve(directory);
  const pathOf = (key: string) => join(root, ...blobKeyParts(key));
  const place = `the directory ${root}`;
  const owning = process.geteuid?.() === 0 ? owner : undefined;
  return {
    place,
    list: (prefix, signal) => guarded(`list ${place}`, signal, () => unlessNoDirectory(root, listObjects(root, prefix, signal))),
    listFolders: (prefix, signal) => guarded(`list ${place}`, signal, () => unlessNoDirectory(root, listFolders(root, prefix, signal))),
    read: (key, signal) => guarded(`read ${key} in ${place}`, signal, () => unlessNoDirectory(root, readWhole(pathOf(key), signal))),
    openRead: (key, signal) =>
      guarded(`read ${key} in ${place}`, signal, () => unlessNoDirectory(root, openPieces(pathOf(key), `${key} in ${place}`, signal))),
    write: (key, bytes, signal) => writeStream(key, oneChunk(bytes), signal),
    writeNew: (key, bytes, signal) =>
      guarded(`write ${key} in ${place}`, signal, () => writeNewDurably(targetOf(key), oneChunk(bytes), signal)),
    writeStream,
    delete: (keys, signal) => guarded(`remove objects of ${place}`, signal, () => removeObjects(root, keys.map(pathOf), signal)),
    removeUnfinished: (before, signal) =>
      guarded(`remove what is half-written in ${place}`, signal, () => removeUnfinished(root, before, signal)),
    freeBytes: (signal) => guarded(`ask how much is free for ${place}`, signal, () => freeBytes(root)),
    close: () => undefined,
  };

  function writeStream(key: string, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    return guarded(`write ${key} in ${place}`, signal, () => writeDurably(targetOf(key), source, signal));
  }

  function targetOf(key: string) {
    return { root, path: pathOf(key), owner: owning };
  }
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Nothing is found where something else is in the place of the root: that is a repository that cannot be read, not an empty one. */
async function unlessNoDirectory<T>(root: string, looking: Promise<T>): Promise<T> {
  const found = await looking;
  const isNothing = found === undefined || (Array.isArray(found) && found.length === 0);
  if (isNothing && (await ifPresent(stat(root)))?.isDirectory() === false)
    throw new SpokeError('REPOSITORY_UNAVAILABLE', `${root} is not a directory`);
  return found;
}

/** Of the file system that the root lies in, or would lie in. */
async function freeBytes(root: string): Promise<bigint> {
  for (let place = root; ; place = dirname(place)) {
    const found = await ifPresent(statfs(place, { bigint: true }));
    if (found !== undefined) return found.bavail * found.bsize;
  }
}
