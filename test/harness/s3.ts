import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { createProcessRunner } from '../../src/adapters/process/index.ts';
import { type ObjectStoreConnection, openS3Client, type S3Client } from '../../src/adapters/s3/client.ts';
import { openObjectStore } from '../../src/adapters/s3/object-store.ts';
import { releasePorts } from '../../src/lab/claim-ports.ts';
import type { S3Server } from '../../src/lab/s3-server/s3-server.ts';
import { startS3Server } from '../../src/lab/s3-server/server.ts';

const signal = new AbortController().signal;

export interface TestBucket {
  readonly connection: ObjectStoreConnection;
  readonly s3: S3Client;
}

/** The S3 server of the lab for the tests of a file, each bucket as new. */
export function useS3Server(): { bucket(options?: { readonly versioned?: boolean; readonly locked?: boolean }): Promise<TestBucket> } {
  let server: S3Server | undefined;
  let count = 0;
  const open: S3Client[] = [];
  const directory = join(tmpdir(), 's3');

  beforeAll(async () => {
    const place = { labDirectory: directory, directory: join(directory, 'server'), caDirectory: join(directory, 'ca') };
    await mkdir(directory, { recursive: true });
    server = await startS3Server(place, { processes: createProcessRunner(), signal, report: () => undefined });
  }, 300_000);

  afterAll(async () => {
    for (const s3 of open) s3.close();
    for (const pid of server?.pids ?? []) process.kill(pid, 'SIGKILL');
    await rm(directory, { recursive: true, force: true });
    await releasePorts(directory);
  });

  return {
    async bucket({ versioned = false, locked = false } = {}) {
      if (server === undefined) throw new Error('the server is started in beforeAll');
      count += 1;
      const { endpoint, region, accessKey, secretKey, caFile } = server;
      const bucket = `bucket-${process.pid}-${count}`;
      const connection = { endpoint, region, bucket, accessKey, secretKey, ...(caFile !== undefined && { caFile }) };
      const s3 = await openS3Client(connection);
      open.push(s3);
      await createBucket(connection, s3, { versioned, locked });
      return { connection, s3 };
    },
  };
}

async function createBucket(
  connection: ObjectStoreConnection,
  { sdk, guarded }: S3Client,
  { versioned, locked }: { readonly versioned: boolean; readonly locked: boolean },
): Promise<void> {
  const Bucket = connection.bucket;
  if (!locked) {
    const store = await openObjectStore(connection);
    await store.createBucket(signal);
    store.close();
  } else await guarded(signal, (client) => client.send(new sdk.CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: true })));
  if (!versioned) return;
  const versioning = { Bucket, VersioningConfiguration: { Status: 'Enabled' } as const };
  await guarded(signal, (client) => client.send(new sdk.PutBucketVersioningCommand(versioning)));
}
