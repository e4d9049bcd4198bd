import { readFile } from 'node:fs/promises';
import type * as SdkModule from '@aws-sdk/client-s3';
import { SpokeError } from '../../errors.ts';
import { translateS3Error } from './s3-error.ts';

/** How to reach one bucket. The keys are never printed. */
export interface ObjectStoreConnection {
  /** https://host:port */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** PEM file of the authority that signed the server's certificate, where it is not a public one. */
  readonly caFile?: string;
  /** For each request; 20 s where not given. */
  readonly timeoutMs?: number;
}

interface StoredObject {
  readonly key: string;
  readonly sizeBytes: number;
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

const REQUEST_TIMEOUT_MS = 20_000;
const CONNECTION_TIMEOUT_MS = 5_000;

/** Opens it: path style, and checksums only where S3 itself demands them, since not every server understands the others. */
export async function openObjectStore(connection: ObjectStoreConnection): Promise<ObjectStore> {
  const sdk = await import('@aws-sdk/client-s3');
  const ca = connection.caFile === undefined ? undefined : await readFile(connection.caFile, 'utf8');
  const client = new sdk.S3Client({
    endpoint: connection.endpoint,
    region: connection.region,
    forcePathStyle: true,
    credentials: { accessKeyId: connection.accessKey, secretAccessKey: connection.secretKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 2,
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: connection.timeoutMs ?? REQUEST_TIMEOUT_MS,
      ...(ca !== undefined && { httpsAgent: { ca } }),
    },
  });
  return bucketOf(sdk, client, connection);
}

type Sdk = typeof SdkModule;

function bucketOf(sdk: Sdk, client: SdkModule.S3Client, connection: ObjectStoreConnection): ObjectStore {
  const Bucket = connection.bucket;
  const guarded = <T>(signal: AbortSignal, work: (options: { abortSignal: AbortSignal }) => Promise<T>): Promise<T> =>
    work({ abortSignal: signal }).catch((cause: unknown) => {
      if (signal.aborted) throw cancellation(signal);
      throw translateS3Error(cause, connection.endpoint, Bucket);
    });
  const list = async (prefix: string, options: { abortSignal: AbortSignal }): Promise<readonly StoredObject[]> => {
    const objects: StoredObject[] = [];
    let token: string | undefined;
    do {
      const request = { Bucket, Prefix: prefix, ...(token !== undefined && { ContinuationToken: token }) };
      const page = await client.send(new sdk.ListObjectsV2Command(request), options);
      for (const { Key = '', Size = 0 } of page.Contents ?? []) objects.push({ key: Key, sizeBytes: Size });
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return objects;
  };
  return {
    createBucket: (signal) => guarded(signal, (options) => createBucket(sdk, client, Bucket, options)),
    bucketExists: (signal) =>
      guarded(signal, async (options) => (await unlessMissing(client.send(new sdk.HeadBucketCommand({ Bucket }), options))) !== undefined),
    put: (key, body, signal) =>
      guarded(signal, async (options) => {
        await client.send(new sdk.PutObjectCommand({ Bucket, Key: key, Body: body }), options);
      }),
    get: (key, signal) =>
      guarded(signal, async (options) => {
        const answer = await unlessMissing(client.send(new sdk.GetObjectCommand({ Bucket, Key: key }), options));
        return answer?.Body?.transformToByteArray();
      }),
    list: (prefix, signal) => guarded(signal, (options) => list(prefix, options)),
    delete: (key, signal) =>
      guarded(signal, async (options) => {
        await client.send(new sdk.DeleteObjectCommand({ Bucket, Key: key }), options);
      }),
    close: () => client.destroy(),
  };
}

function cancellation(signal: AbortSignal): SpokeError {
  if (signal.reason instanceof SpokeError) return signal.reason;
  return new SpokeError('CANCELLED', 'The request to the object store was cancelled.', { cause: signal.reason });
}

async function createBucket(sdk: Sdk, client: SdkModule.S3Client, Bucket: string, options: { abortSignal: AbortSignal }): Promise<void> {
  try {
    await client.send(new sdk.CreateBucketCommand({ Bucket }), options);
  } catch (thrown) {
    if (!(thrown instanceof sdk.S3ServiceException && thrown.name === 'BucketAlreadyOwnedByYou')) throw thrown;
  }
}

async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  return answer.catch((thrown: unknown) => {
    if (thrown instanceof Error && ['NoSuchKey', 'NotFound', 'NoSuchBucket'].includes(thrown.name)) return undefined;
    throw thrown;
  });
}
