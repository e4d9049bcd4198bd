import type { IncomingMessage } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { createS3BlobStore } from '../../../src/adapters/s3/blob-store.ts';
import { openS3Client, type S3Client } from '../../../src/adapters/s3/client.ts';
import { openRegister } from '../../../src/adapters/s3/register.ts';
import type { ServerSideEncryption } from '../../../src/adapters/s3/server-side-encryption.ts';
import { tryBucket } from '../../../src/adapters/s3/try-bucket.ts';
import { type Answer, failure, ScriptedServer } from './server.ts';

const signal = new AbortController().signal;
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const HEADERS = ['x-amz-server-side-encryption', 'x-amz-server-side-encryption-aws-kms-key-id'];

/** What a request is to S3, which tells requests apart by their query. */
function operationOf({ method, url = '' }: IncomingMessage): string {
  const query = new URL(url, 'http://localhost').searchParams;
  if (method === 'PUT') return query.has('partNumber') ? 'UploadPart' : 'PutObject';
  if (method === 'POST') return query.has('uploads') ? 'CreateMultipartUpload' : 'CompleteMultipartUpload';
  return method ?? '';
}

const xml = (body: string): Answer => ({ status: 200, body: `<?xml version="1.0"?>${body}`, headers: { etag: '"1"' } });
const ANSWERS: Readonly<Record<string, Answer>> = {
  CreateMultipartUpload: xml('<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>'),
  CompleteMultipartUpload: xml('<CompleteMultipartUploadResult><ETag>"1"</ETag></CompleteMultipartUploadResult>'),
  GET: xml('<ListBucketResult></ListBucketResult>'),
  DELETE: { status: 204 },
};

/** A bucket, and for each request what it is and the encryption that it asks for. */
async function opened(serverSideEncryption: ServerSideEncryption | undefined, answer: (request: IncomingMessage) => Answer | undefined) {
  const asked: string[] = [];
  const server = await ScriptedServer.start((request) => {
    const operation = operationOf(request);
    asked.push([operation, ...HEADERS.flatMap((name) => request.headers[name] ?? [])].join(' '));
    return answer(request) ?? ANSWERS[operation] ?? { status: 200, headers: { etag: '"1"' } };
  });
  cleanUps.push(() => server.stop());
  const connection = { endpoint: server.endpoint, region: 'default', bucket: 'bucket', accessKey: 'key', secretKey: 'secret', attempts: 1 };
  const s3 = await openS3Client({ ...connection, ...(serverSideEncryption !== undefined && { serverSideEncryption }) });
  cleanUps.push(() => s3.close());
  return { s3, asked };
}

async function* inPieces() {
  yield Buffer.from('0123456789');
}

const WRITES: [what: string, write: (s3: S3Client) => Promise<unknown>, begins: readonly string[]][] = [
  ['an object', (s3) => createS3BlobStore(s3, 'main').write('a', Buffer.from('x'), signal), ['PutObject']],
  ['an object where there is none yet', (s3) => createS3BlobStore(s3, 'main').writeNew('a', Buffer.from('x'), signal), ['PutObject']],
  ['a stream that fits one request', (s3) => createS3BlobStore(s3, 'main').writeStream('a', inPieces(), signal), ['PutObject']],
  [
    'a stream in parts',
    (s3) => createS3BlobStore(s3, 'main', { partSizes: 4 }).writeStream('a', inPieces(), signal),
    ['CreateMultipartUpload'],
  ],
  [
    'a lease that is replaced',
    async (s3) => (await openRegister(s3, 'leases', { kind: 'etag' }, signal)).write('x', undefined, signal),
    ['PutObject'],
  ],
  [
    'a lease that is numbered',
    async (s3) => (await openRegister(s3, 'leases', { kind: 'create', reason: '' }, signal)).write('x', undefined, signal),
    ['PutObject'],
  ],
  ['the trial of a bucket', (s3) => tryBucket(s3, 'check', signal), ['PutObject', 'CreateMultipartUpload']],
];

describe.each([
  ['AES256', { type: 'AES256' }],
  ['aws:kms arn:aws:kms:eu-west-3:111122223333:key/one', { type: 'aws:kms', kmsKeyId: 'arn:aws:kms:eu-west-3:111122223333:key/one' }],
] as const)('encryption by the service with %s', (expected, encryption) => {
  it.each(WRITES)('is asked for by %s, with the request that begins an object and with no other', async (_what, write, begins) => {
    const { s3, asked } = await opened(encryption, () => undefined);
    await write(s3);
    expect(new Set(asked.filter((one) => one.includes(' ')))).toEqual(new Set(begins.map((operation) => `${operation} ${expected}`)));
    expect(asked.filter((one) => begins.includes(one))).toEqual([]);
  });

  it('is never left out where the service refuses it', async () => {
    const refused = ({ headers }: IncomingMessage) => (HEADERS[0]! in headers ? failure(400, 'InvalidArgument') : undefined);
    const { s3, asked } = await opened(encryption, refused);
    await expect(createS3BlobStore(s3, 'main').writeNew('a', Buffer.from('x'), signal)).rejects.toMatchObject({
      code: 'REPOSITORY_UNAVAILABLE',
    });
    await expect(tryBucket(s3, 'check', signal)).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
    expect(asked.filter((one) => /^(PutObject|CreateMultipartUpload)$/.test(one))).toEqual([]);
  });
});

describe('without encryption by the service', () => {
  it.each(WRITES)('%s asks for none', async (_what, write, begins) => {
    const { s3, asked } = await opened(undefined, () => undefined);
    await write(s3);
    expect(asked.filter((one) => one.includes(' '))).toEqual([]);
    expect(asked).toEqual(expect.arrayContaining([...begins]));
  });
});

describe('the trial of a bucket', () => {
  it.each(['AES256', undefined])('tells that the service has encrypted with %s', async (encryptedBy) => {
    const headers = encryptedBy === undefined ? {} : { 'x-amz-server-side-encryption': encryptedBy };
    const { s3 } = await opened({ type: 'AES256' }, ({ method }) => (method === 'HEAD' ? { status: 200, headers } : undefined));
    expect((await tryBucket(s3, 'check', signal)).encryptedBy).toBe(encryptedBy);
  });
});
