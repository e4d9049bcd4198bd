import type { IncomingMessage } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { openS3Client, type S3Client } from '../../../src/adapters/s3/client.ts';
import { probeConditionalWrites } from '../../../src/adapters/s3/conditional-write.ts';
import { createHousekeeping } from '../../../src/adapters/s3/housekeeping.ts';
import { listObjects } from '../../../src/adapters/s3/object-store.ts';
import { putNewObject } from '../../../src/adapters/s3/put-object.ts';
import { SpokeError } from '../../../src/errors.ts';
import { type Answer, failure, ScriptedServer } from './server.ts';

const signal = new AbortController().signal;
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function opened(answer: (request: IncomingMessage, count: number) => Answer, attempts = 1) {
  const server = await ScriptedServer.start(answer);
  cleanUps.push(() => server.stop());
  const connection = { endpoint: server.endpoint, region: 'default', bucket: 'bucket', accessKey: 'key', secretKey: 'secret', attempts };
  const s3: S3Client = await openS3Client(connection);
  cleanUps.push(() => s3.close());
  return { s3, server };
}

const PAGE = '<?xml version="1.0"?><ListBucketResult><Contents><Key>a</Key><Size>1</Size></Contents>';
const MORE = '<IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken></ListBucketResult>';

describe('a listing', () => {
  it('of which one page fails is unknown as a whole, and not shorter', async () => {
    const { s3, server } = await opened((_request, count) =>
      count < 57 ? { status: 200, body: `${PAGE}${MORE}` } : failure(500, 'InternalError'),
    );
    await expect(listObjects(s3, '', signal)).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE', exitCode: 21 });
    expect(server.requests).toHaveLength(57);
  });

  it.each([
    ['uploads', (s3: S3Client) => createHousekeeping(s3).listMultipartUploads('', (2n ** 60n) as never, signal)],
    ['versions', (s3: S3Client) => createHousekeeping(s3).readRetainedVersions('', signal)],
  ])('of %s goes on from page to page, and fails with any of them', async (_what, list) => {
    const page = (root: string) =>
      `<?xml version="1.0"?><${root}><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker><NextVersionIdMarker>v</NextVersionIdMarker></${root}>`;
    const { s3, server } = await opened(({ url = '' }, count) => {
      if (count > 1) return failure(503, 'ServiceUnavailable');
      return { status: 200, body: page(url.includes('uploads') ? 'ListMultipartUploadsResult' : 'ListVersionsResult') };
    });
    await expect(list(s3)).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
    expect(server.requests[1]).toContain('key-marker=k');
    expect(server.requests[1]).toMatch(/upload-id-marker=u|version-id-marker=v/);
  });
});

describe('a busy server', () => {
  it('is asked again until it answers', async () => {
    const { s3, server } = await opened(
      (_request, count) => (count < 4 ? failure(503, 'SlowDown') : { status: 200, body: `${PAGE}</ListBucketResult>` }),
      5,
    );
    expect(await listObjects(s3, '', signal)).toMatchObject([{ key: 'a', sizeBytes: 1 }]);
    expect(server.requests).toHaveLength(4);
  });

  it('is given up with what it said', async () => {
    const { s3 } = await opened(() => failure(503, 'SlowDown'), 2);
    await expect(listObjects(s3, '', signal)).rejects.toMatchObject({
      code: 'REPOSITORY_UNAVAILABLE',
      message: expect.stringContaining('SlowDown'),
    });
  });
});

describe('what a server refuses', () => {
  it.each([
    ['AccessDenied', 403, 'rights on the bucket'],
    ['ExpiredToken', 400, 'session token'],
    ['RequestTimeTooSkewed', 403, 'clock'],
  ])('%s is an error of its own, and names no key', async (code, status, hint) => {
    const { s3 } = await opened(() => failure(status, code));
    const error = await listObjects(s3, '', signal).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'REPOSITORY_DENIED', hint: expect.stringContaining(hint) });
    expect(`${(error as SpokeError).message} ${JSON.stringify((error as SpokeError).details)}`).not.toContain('secret');
  });

  it('of its protection is unknown, and not off', async () => {
    const { s3 } = await opened(() => failure(403, 'AccessDenied'));
    expect(await createHousekeeping(s3).readProtection(signal)).toEqual({ versioning: 'unknown', objectLock: 'unknown' });
  });

  it('is cancelled with the reason of whoever cancels', async () => {
    const { s3 } = await opened(() => failure(503, 'SlowDown'), 6);
    const reason = new SpokeError('CANCELLED', 'interrupted');
    const controller = new AbortController();
    const listing = listObjects(s3, '', controller.signal);
    controller.abort(reason);
    await expect(listing).rejects.toBe(reason);
  });
});

/** An object as a server keeps it that honours only some conditions. */
function keeper(honours: { readonly ifNoneMatch: boolean; readonly ifMatch: 'yes' | 'never' | 'ignores' }) {
  let version = 0;
  return ({ method, headers }: IncomingMessage): Answer => {
    if (method === 'DELETE') return { status: 204 };
    if (headers['if-none-match'] === '*' && version > 0 && honours.ifNoneMatch) return failure(412, 'PreconditionFailed');
    const match = headers['if-match'];
    const isOther = match !== undefined && match !== `"${version}"`;
    if (match !== undefined && (honours.ifMatch === 'never' || (honours.ifMatch === 'yes' && isOther)))
      return failure(412, 'PreconditionFailed');
    version += 1;
    return { status: 200, headers: { etag: `"${version}"` } };
  };
}

describe('writing a new object', () => {
  it('replaces none, and says so', async () => {
    const { s3 } = await opened(keeper({ ifNoneMatch: true, ifMatch: 'yes' }));
    expect(await putNewObject(s3, 'wal', Buffer.from('first'), signal)).toBe(true);
    expect(await putNewObject(s3, 'wal', Buffer.from('second'), signal)).toBe(false);
  });

  it('goes without the condition where the server does not know it', async () => {
    const { s3, server } = await opened(({ headers }) =>
      headers['if-none-match'] === undefined ? { status: 200 } : failure(501, 'NotImplemented'),
    );
    expect(await putNewObject(s3, 'wal', Buffer.from('first'), signal)).toBe(true);
    expect(server.requests.at(-1)).toMatch(/^PUT/);
  });

  it.each([
    [500, 'InternalError'],
    [400, 'RequestTimeout'],
  ])('is neither done nor tried without the condition after a %i %s', async (status, reason) => {
    const { s3, server } = await opened(() => failure(status, reason));
    await expect(putNewObject(s3, 'wal', Buffer.from('first'), signal)).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
    expect(server.requests).toHaveLength(1);
  });
});

describe('trying conditional writes', () => {
  it.each([
    ['etag', { ifNoneMatch: true, ifMatch: 'yes' }, undefined],
    ['create', { ifNoneMatch: true, ifMatch: 'never' }, 'refuses If-Match with the current ETag'],
    ['create', { ifNoneMatch: true, ifMatch: 'ignores' }, 'in spite of an If-Match'],
    ['none', { ifNoneMatch: false, ifMatch: 'yes' }, 'in spite of If-None-Match'],
  ] as const)('finds %s on a server with %j', async (kind, honours, reason) => {
    const { s3, server } = await opened(keeper(honours));
    const can = await probeConditionalWrites(s3, 'main', signal);
    expect(can.kind).toBe(kind);
    if (reason !== undefined) expect(can).toMatchObject({ reason: expect.stringContaining(reason) });
    expect(server.requests.at(-1)).toMatch(/^DELETE/);
  });

  it('finds none on a server that does not know conditions', async () => {
    const { s3 } = await opened(({ method }) => (method === 'PUT' ? failure(501, 'NotImplemented') : { status: 204 }));
    expect(await probeConditionalWrites(s3, 'main', signal)).toMatchObject({
      kind: 'none',
      reason: expect.stringContaining('NotImplemented'),
    });
  });

  it('concludes nothing from a server that fails', async () => {
    const { s3 } = await opened(({ method }) => (method === 'PUT' ? failure(500, 'InternalError') : { status: 204 }));
    await expect(probeConditionalWrites(s3, 'main', signal)).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
  });
});
