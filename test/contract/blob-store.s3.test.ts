import { describe, expect, it } from 'vitest';
import { createS3BlobStore } from '../../src/adapters/s3/blob-store.ts';
import { openS3Client, type S3Client } from '../../src/adapters/s3/client.ts';
import { createHousekeeping } from '../../src/adapters/s3/housekeeping.ts';
import { addMicros, instantOfMillis } from '../../src/domain/time/instant.ts';
import { LAB_KMS_KEY_ID } from '../../src/lab/s3-server/ceph-config.ts';
import { type TestBucket, useS3Server } from '../harness/s3.ts';
import { allOf, blobStoreContract, inPiecesOf } from './blob-store.contract.ts';

const signal = new AbortController().signal;
const server = useS3Server();

const MIB = 1024 * 1024;

async function uploadsIn(s3: S3Client): Promise<string[]> {
  const later = addMicros(instantOfMillis(Date.now()), 3_600_000_000n);
  return (await createHousekeeping(s3).listMultipartUploads('', later, signal)).map(({ key }) => key);
}

async function encryptionOf(s3: S3Client, key: string): Promise<string | undefined> {
  const request = new s3.sdk.HeadObjectCommand({ Bucket: s3.bucket, Key: key });
  return (await s3.guarded(signal, (client) => client.send(request))).ServerSideEncryption;
}

function subjectOf({ s3 }: TestBucket) {
  return {
    store: createS3BlobStore(s3, '/main/native/main'),
    leftovers: () => uploadsIn(s3),
    leaveUnfinished: async (key: string) => {
      const request = { Bucket: s3.bucket, Key: `main/native/main/${key}` };
      await s3.guarded(signal, (client) => client.send(new s3.sdk.CreateMultipartUploadCommand(request)));
    },
    dispose: () => Promise.resolve(),
  };
}

blobStoreContract('a bucket', async () => subjectOf(await server.bucket()));

blobStoreContract('a versioned bucket', async () => ({
  ...subjectOf(await server.bucket({ versioned: true })),
  isBlindToOverlap: true,
}));

describe.each([
  ['checksums: auto', { checksums: 'auto' }],
  ['checksums: when_required', { checksums: 'when_required' }],
  ['encryption by the service', { serverSideEncryption: { type: 'aws:kms', kmsKeyId: LAB_KMS_KEY_ID } }],
] as const)('an upload with %s', (_what, options) => {
  it('arrives whole, in one request and in parts of one size', async () => {
    const { connection } = await server.bucket();
    const s3 = await openS3Client({ ...connection, ...options });
    try {
      const store = createS3BlobStore(s3, '', { partSizes: 5 * MIB });
      for (const length of [0, 10, 5 * MIB, 5 * MIB + 1, 20 * MIB]) {
        const bytes = Buffer.alloc(length, 'spoke');
        await store.writeStream('object', inPiecesOf(bytes, 100_000), signal);
        expect(Buffer.compare(await allOf(await store.openRead('object', signal)), bytes)).toBe(0);
        expect(await encryptionOf(s3, 'object')).toBe('serverSideEncryption' in options ? 'aws:kms' : undefined);
      }
    } finally {
      s3.close();
    }
  });
});

describe('a bucket that is not there', () => {
  it('is unknown, and not empty', async () => {
    const { connection } = await server.bucket();
    const s3 = await openS3Client({ ...connection, bucket: 'never-made' });
    try {
      const store = createS3BlobStore(s3, 'main');
      const calls = [
        () => store.list('', signal),
        () => store.listFolders('', signal),
        () => store.read('a', signal),
        () => store.openRead('a', signal),
        () => store.delete(['a'], signal),
      ];
      for (const call of calls)
        await expect(call()).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE', message: expect.stringContaining('NoSuchBucket') });
    } finally {
      s3.close();
    }
  });
});
