import { join } from 'node:path';
import type { ObjectStoreConnection, S3Client } from './adapters/s3/client.ts';
import type { S3Keys } from './adapters/s3/credentials.ts';
import type { S3Access } from './composition-wal.ts';
import type { ClusterConfig, RepositoryConfig, S3RepositoryConfig } from './config/model.ts';
import { resolveSecret, type SecretContext } from './config/resolve-secret.ts';
import type { SecretReference } from './config/secrets.ts';
import type { RepositoryName } from './domain/catalog/base-backup.ts';
import type { BlobStore } from './ports/blob-store.ts';
import type { BucketReaders, BucketWriters } from './ports/buckets.ts';
import type { FileOwner } from './ports/instance.ts';
import type { BucketTrial, ObjectStoreReader, ObjectStoreWriter } from './ports/object-store.ts';

/** What a bucket holds beside what its repository shows, and how it is protected. Throws SECRET_UNAVAILABLE; asks the server nothing yet. */
export async function openObjectStoreOf(
  repository: S3RepositoryConfig,
  secrets: SecretContext,
): Promise<ObjectStoreReader & ObjectStoreWriter & { close(): void }> {
  const { createHousekeeping } = await import('./adapters/s3/housekeeping.ts');
  const s3 = await openS3(repository, secrets, { attempts: PATIENT_ATTEMPTS });
  return { ...createHousekeeping(s3), close: () => s3.close() };
}

/** What a bucket can do, found by doing it. Throws SECRET_UNAVAILABLE, REPOSITORY_UNAVAILABLE or REPOSITORY_DENIED. */
export async function tryBucketOf({ stanza }: ClusterConfig, repository: S3RepositoryConfig, secrets: SecretContext): Promise<BucketTrial> {
  const { tryBucket } = await import('./adapters/s3/try-bucket.ts');
  const s3 = await openS3(repository, secrets);
  try {
    return await tryBucket(s3, `${repository.pathPrefix}/spoke-backup/${stanza}/check`.replace(/^\/+/, ''), secrets.signal);
  } finally {
    s3.close();
  }
}

/** Each is opened when somebody looks, and closed after that. */
export function bucketsOf(cluster: ClusterConfig, secrets: SecretContext): BucketReaders & BucketWriters {
  async function using<T>(
    name: RepositoryName,
    use: (store: ObjectStoreReader & ObjectStoreWriter, repository: S3RepositoryConfig) => Promise<T>,
  ) {
    const repository = cluster.repositories.find((one) => one.name === name);
    if (repository?.kind !== 's3') return undefined;
    const store = await openObjectStoreOf(repository, secrets);
    try {
      return await use(store, repository);
    } finally {
      store.close();
    }
  }
  return {
    withBucket: (name, look) => using(name, (store, repository) => look(store, prefixesOf(cluster, repository))),
    changeBucket: async (name, change) => void (await using(name, change)),
  };
}

/** Clusters may share a path: only what the engine keeps of this stanza, and what belongs to both engines. */
function prefixesOf({ stanza }: ClusterConfig, { engine, pathPrefix }: S3RepositoryConfig): readonly string[] {
  const folders = engine === 'native' ? ['native'] : ['archive', 'backup'];
  return [...folders, 'spoke-backup'].map((folder) => `${pathPrefix}/${folder}/${stanza}/`.replace(/^\/+/, ''));
}

const MIB = 1024 * 1024;

/** The SDK pauses between them for a random time that doubles, up to 20 s. */
const PATIENT_ATTEMPTS = 6;

/** Reads the secrets and loads the SDK; asks the server nothing yet. Throws SECRET_UNAVAILABLE. */
export async function openS3(
  repository: S3RepositoryConfig,
  secrets: SecretContext,
  limits: { readonly timeoutMs?: number; readonly attempts?: number } = {},
): Promise<S3Client> {
  const { openS3Client } = await import('./adapters/s3/client.ts');
  const connection = await connectionOf(repository, secrets);
  return openS3Client({
    ...limits,
    ...connection,
    ...(repository.serverSideEncryption !== undefined && { serverSideEncryption: repository.serverSideEncryption }),
    ...(connection.accessKey !== undefined && { readKeys: () => keysOf(repository, secrets) }),
  });
}

/** How the objects of a repository are reached by a program that has no configuration. Secret. Throws SECRET_UNAVAILABLE. */
export async function s3AccessOf(repository: S3RepositoryConfig, root: string, secrets: SecretContext): Promise<S3Access> {
  const connection = { ...(await connectionOf(repository, secrets)), attempts: PATIENT_ATTEMPTS };
  return { connection, prefix: `${repository.pathPrefix}/${root}` };
}

async function connectionOf(repository: S3RepositoryConfig, secrets: SecretContext): Promise<ObjectStoreConnection> {
  const { endpoint, port, region, bucket, uriStyle, verifyTls, checksums, caFile } = repository;
  return {
    ...{ endpoint: `https://${endpoint}:${port ?? 443}`, region, bucket, uriStyle, verifyTls, checksums },
    ...(caFile !== undefined && { caFile }),
    ...(await keysOf(repository, secrets)),
  };
}

/** Nothing where they come from the role of the machine or a web identity. */
async function keysOf({ accessKey, secretKey, sessionToken }: S3RepositoryConfig, secrets: SecretContext): Promise<Partial<S3Keys>> {
  const read = async (reference: SecretReference | undefined) => (reference === undefined ? undefined : resolveSecret(reference, secrets));
  return withoutUndefined({
    accessKey: await read(accessKey),
    secretKey: await read(secretKey),
    sessionToken: await read(sessionToken),
  });
}

/** exactOptionalPropertyTypes: what is not there is left out. */
export function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/**
 * The objects of a native repository below `root`, which names the engine and the stanza: clusters may share a place. Files that we write as
 * root belong to `user`.
 */
export async function openBlobStoreOf(
  repository: RepositoryConfig,
  root: string,
  secrets: SecretContext,
  user: FileOwner | undefined,
): Promise<BlobStore> {
  if (repository.kind === 'local') {
    const { createFileBlobStore } = await import('./adapters/files/blob-store.ts');
    return createFileBlobStore({ directory: join(repository.path, root), ...(user === undefined ? {} : { owner: user }) });
  }
  const { createS3BlobStore } = await import('./adapters/s3/blob-store.ts');
  const s3 = await openS3(repository, secrets, { attempts: PATIENT_ATTEMPTS });
  const { uploadPartMib } = repository;
  return createS3BlobStore(s3, `${repository.pathPrefix}/${root}`, uploadPartMib === undefined ? {} : { partSizes: uploadPartMib * MIB });
}
