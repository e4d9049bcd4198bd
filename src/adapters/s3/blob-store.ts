import { blobKeyParts, blobPrefixParts, byKey } from '../../domain/blob/blob-key.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import { type S3Client, unlessNoKey } from './client.ts';
import { createHousekeeping } from './housekeeping.ts';
import { writeInParts } from './multipart-upload.ts';
import { listCommonPrefixes, listObjects } from './object-store.ts';
import { openObject } from './open-object.ts';
import type { PartSizes } from './part-sizes.ts';
import { putNewObject, putObject } from './put-object.ts';

export interface S3BlobStoreOptions {
  /** How long the parts of an upload are; growing where not given. */
  readonly partSizes?: PartSizes;
}

/** How many objects are removed at a time. */
const REMOVALS_AT_ONCE = 8;

/** The objects of a bucket below a prefix. Closing it closes the client. */
export function createS3BlobStore(s3: S3Client, prefix: string, options: S3BlobStoreOptions = {}): BlobStore {
  const begin = prefixOf(prefix);
  const keyOf = (key: string) => begin + blobKeyParts(key).join('/');
  return {
    place: `${begin} in ${s3.place}`,
    list: (below, signal) => list(s3, begin, below, signal),
    listFolders: (below, signal) => listFolders(s3, begin, below, signal),
    read: (key, signal) => readWhole(s3, keyOf(key), signal),
    openRead: (key, signal) => openObject(s3, keyOf(key), signal),
    write: (key, bytes, signal) => putObject(s3, keyOf(key), bytes, signal),
    writeNew: (key, bytes, signal) => putNewObject(s3, keyOf(key), bytes, signal),
    writeStream: (key, source, signal) => writeInParts(s3, keyOf(key), source, signal, options.partSizes),
    delete: (keys, signal) => removeObjects(s3, keys.map(keyOf), signal),
    removeUnfinished: async (before, signal) => {
      const bucket = createHousekeeping(s3);
      const uploads = await bucket.listMultipartUploads(begin, before, signal);
      for (const upload of uploads) await bucket.abortMultipartUpload(upload, signal);
      return uploads.length;
    },
    freeBytes: () => Promise.resolve(undefined),
    close: () => {
      s3.close();
    },
  };
}

/** Without the slash that a configured path begins with, and with one at its end. */
function prefixOf(prefix: string): string {
  const trimmed = prefix.replace(/^\/+|\/+$/g, '');
  return trimmed === '' ? '' : `${trimmed}/`;
}

async function list(s3: S3Client, begin: string, below: string, signal: AbortSignal) {
  blobPrefixParts(below);
  const objects = await listObjects(s3, begin + below, signal);
  return objects.map((object) => ({ ...object, key: object.key.slice(begin.length) })).sort(byKey);
}

async function listFolders(s3: S3Client, begin: string, below: string, signal: AbortSignal): Promise<readonly string[]> {
  if (blobPrefixParts(below).nameBegin !== '') throw new RangeError(`not the prefix of folders: ${JSON.stringify(below)}`);
  const prefix = begin + below;
  return (await listCommonPrefixes(s3, prefix, signal)).map((found) => found.slice(prefix.length, -1)).sort();
}

async function readWhole(s3: S3Client, key: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
  const pieces = await openObject(s3, key, signal);
  if (pieces === undefined) return undefined;
  const read: Uint8Array[] = [];
  for await (const piece of pieces) read.push(piece);
  return Buffer.concat(read);
}

async function removeObjects(s3: S3Client, keys: readonly string[], signal: AbortSignal): Promise<void> {
  const [first, ...rest] = keys;
  if (first === undefined) return;
  await removeObject(s3, first, signal);
  for (let from = 0; from < rest.length; from += REMOVALS_AT_ONCE) {
    const removing = rest.slice(from, from + REMOVALS_AT_ONCE).map((key) => removeObject(s3, key, signal));
    await Promise.allSettled(removing);
    await Promise.all(removing);
  }
}

async function removeObject({ sdk, bucket, guarded }: S3Client, key: string, signal: AbortSignal): Promise<void> {
  await guarded(signal, (client, options) => unlessNoKey(client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: key }), options)));
}
