import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { type Instant, instantOfMillis } from '../../domain/time/instant.ts';
import { SpokeError } from '../../errors.ts';
import { type ObjectStoreConnection, openS3Client, type S3Client, unlessMissing } from './client.ts';

export type { ObjectStoreConnection } from './client.ts';

interface StoredObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** By the server's clock. */
  readonly modifiedAt: Instant;
}

/** One bucket. Every method throws REPOSITORY_UNAVAILABLE or REPOSITORY_DENIED, or CANCELLED. */
export interface ObjectStore {
  /** Idempotent: one's own bucket of that name is as good as a new one. */
  createBucket(signal: AbortSignal): Promise<void>;
  bucketExists(signal: AbortSignal): Promise<boolean>;
  put(key: string, body: Uint8Array | string, signal: AbortSignal): Promise<void>;
  /** undefined where there is no such object. */
  get(key: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** All objects whose key begins with `prefix`, in the order of their keys. */
  list(prefix: string, signal: AbortSignal): Promise<readonly StoredObject[]>;
  /** Idempotent. */
  delete(key: string, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Opens it. */
export async function openObjectStore(connection: ObjectStoreConnection): Promise<ObjectStore> {
  return bucketOf(await openS3Client(connection));
}

function bucketOf(s3: S3Client): ObjectStore {
  const { sdk, bucket: Bucket, guarded } = s3;
  return {
    createBucket: (signal) => createBucket(s3, signal),
    bucketExists: (signal) =>
      guarded(
        signal,
        async (client, options) => (await unlessMissing(client.send(new sdk.HeadBucketCommand({ Bucket }), options))) !== undefined,
      ),
    put: (key, body, signal) =>
      guarded(signal, async (client, options) => {
        await client.send(new sdk.PutObjectCommand({ Bucket, Key: key, Body: body }), options);
      }),
    get: (key, signal) =>
      guarded(signal, async (client, options) => {
        const answer = await unlessMissing(client.send(new sdk.GetObjectCommand({ Bucket, Key: key }), options));
        return answer?.Body?.transformToByteArray();
      }),
    list: (prefix, signal) => listObjects(s3, prefix, signal),
    delete: (key, signal) =>
      guarded(signal, async (client, options) => {
        await client.send(new sdk.DeleteObjectCommand({ Bucket, Key: key }), options);
      }),
    close: () => s3.close(),
  };
}

async function createBucket({ sdk, bucket, guarded }: S3Client, signal: AbortSignal): Promise<void> {
  await guarded(signal, async (client, options) => {
    try {
      await client.send(new sdk.CreateBucketCommand({ Bucket: bucket }), options);
    } catch (thrown) {
      if (!(thrown instanceof sdk.S3ServiceException && thrown.name === 'BucketAlreadyOwnedByYou')) throw thrown;
    }
  });
}

/** All objects whose key begins with `prefix`, in the order of their keys. A page that cannot be had fails it all: unknown is not missing. */
export async function listObjects(s3: S3Client, prefix: string, signal: AbortSignal): Promise<StoredObject[]> {
  const objects: StoredObject[] = [];
  for await (const { Contents = [] } of pagesOf(s3, { Prefix: prefix }, signal))
    for (const { Key = '', Size = 0, LastModified } of Contents)
      objects.push({ key: Key, sizeBytes: Size, modifiedAt: instantOfMillis(LastModified?.getTime() ?? 0) });
  return objects;
}

/** The prefixes one level below `prefix`, each ending with `/`. */
export async function listCommonPrefixes(s3: S3Client, prefix: string, signal: AbortSignal): Promise<string[]> {
  const found: string[] = [];
  for await (const { CommonPrefixes = [] } of pagesOf(s3, { Prefix: prefix, Delimiter: '/' }, signal))
    found.push(...CommonPrefixes.flatMap(({ Prefix }) => (Prefix === undefined ? [] : [Prefix])));
  return found;
}

async function* pagesOf(
  { sdk, bucket, guarded, place }: S3Client,
  what: { readonly Prefix: string; readonly Delimiter?: string },
  signal: AbortSignal,
): AsyncGenerator<ListObjectsV2CommandOutput, void, undefined> {
  let token: string | undefined;
  do {
    const request = { Bucket: bucket, ...what, ...(token !== undefined && { ContinuationToken: token }) };
    const page = await guarded(signal, (client, options) => client.send(new sdk.ListObjectsV2Command(request), options));
    yield page;
    token = page.NextContinuationToken;
    if (token === undefined && page.IsTruncated === true)
      throw new SpokeError('REPOSITORY_UNAVAILABLE', `${place} lists only a part of its objects and does not say how to go on.`);
  } while (token !== undefined);
}
