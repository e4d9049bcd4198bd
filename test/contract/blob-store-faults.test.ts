import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createS3BlobStore } from '../../src/adapters/s3/blob-store.ts';
import { type ObjectStoreConnection, openS3Client, type S3Client } from '../../src/adapters/s3/client.ts';
import { createHousekeeping } from '../../src/adapters/s3/housekeeping.ts';
import { addMicros, instantOfMillis } from '../../src/domain/time/instant.ts';
import type { BlobStore } from '../../src/ports/blob-store.ts';
import { type Fault, FaultProxy, type ProxiedRequest, refusal } from '../harness/fault-proxy.ts';
import { KeyGiver } from '../harness/key-giver.ts';
import { type TestBucket, useS3Server } from '../harness/s3.ts';
import { allOf, inPiecesOf } from './blob-store.contract.ts';

const signal = new AbortController().signal;
const MIB = 1024 * 1024;
const PART_BYTES = 5 * MIB;
/** Long enough to be sent in three parts. */
const LONG = randomBytes(2 * PART_BYTES + 12_345);

const server = useS3Server();
let proxy: FaultProxy;
let made: TestBucket;
const open: S3Client[] = [];

beforeAll(async () => {
  proxy = await FaultProxy.before((await server.bucket()).connection, join(tmpdir(), 'proxy'));
});
beforeEach(async () => {
  made = await server.bucket();
});
afterEach(() => {
  for (const s3 of open.splice(0)) s3.close();
  proxy.fault = () => undefined;
  proxy.requests.length = 0;
});
afterAll(async () => {
  await proxy.close();
  await rm(join(tmpdir(), 'proxy'), { recursive: true });
});

type Changes = { -readonly [K in keyof ObjectStoreConnection]?: ObjectStoreConnection[K] | undefined };

/** The bucket of this test, reached through the proxy. */
async function through(changes: Changes = {}): Promise<BlobStore> {
  const connection = { ...made.connection, endpoint: proxy.endpoint, caFile: proxy.caFile, attempts: 6, ...changes };
  const s3 = await openS3Client(connection as ObjectStoreConnection);
  open.push(s3);
  return createS3BlobStore(s3, 'main', { partSizes: PART_BYTES });
}

/** The same, reached directly. */
function direct(): BlobStore {
  return createS3BlobStore(made.s3, 'main', { partSizes: PART_BYTES });
}

async function uploads(): Promise<number> {
  const later = addMicros(instantOfMillis(Date.now()), 3_600_000_000n);
  return (await createHousekeeping(made.s3).listMultipartUploads('', later, signal)).length;
}

const isPart = ({ method, url }: ProxiedRequest) => method === 'PUT' && url.includes('partNumber=');
const isComplete = ({ method, url }: ProxiedRequest) => method === 'POST' && url.includes('uploadId=');
const isGet = ({ method, url }: ProxiedRequest) => method === 'GET' && url.includes('main/');

/** That befalls the first requests of a kind. */
function first(count: number, isMeant: (request: ProxiedRequest) => boolean, fault: Fault): (request: ProxiedRequest) => Fault | undefined {
  let left = count;
  return (request) => (isMeant(request) && left-- > 0 ? fault : undefined);
}

const write = (store: BlobStore, key = 'base.tar') => store.writeStream(key, inPiecesOf(LONG, MIB), signal);

async function expectWhole(key = 'base.tar'): Promise<void> {
  expect(Buffer.compare(await allOf(await direct().openRead(key, signal)), LONG)).toBe(0);
  expect(await uploads()).toBe(0);
}

async function expectNothing(): Promise<void> {
  expect(await direct().list('', signal)).toEqual([]);
  expect(await uploads()).toBe(0);
}

describe('a server that is busy', () => {
  it('is asked again until it takes every part', async () => {
    proxy.fault = first(4, isPart, refusal(503, 'SlowDown'));
    await write(await through());
    expect(proxy.requests.filter(isPart)).toHaveLength(3 + 4);
    await expectWhole();
  });

  it('without end is given up, by its own word, and nothing is left', async () => {
    proxy.fault = (request) => (isPart(request) ? refusal(503, 'SlowDown') : undefined);
    await expect(write(await through({ attempts: 3 }))).rejects.toMatchObject({
      code: 'REPOSITORY_UNAVAILABLE',
      message: expect.stringContaining('SlowDown'),
    });
    await expectNothing();
  });
});

describe('a connection that is slow', () => {
  it('fails nothing as long as something comes or goes, however long it takes as a whole', async () => {
    await direct().write('read', LONG.subarray(0, MIB), signal);
    proxy.fault = ({ method }) => ({ delayMs: 500, bytesPerSecond: method === 'GET' ? MIB / 10 : 1.5 * MIB });
    // The download takes 10 s, longer than nothing may come; a part 3.8 s, longer than a request without body may take.
    const store = await through({ timeoutMs: 2_000, stallMs: 8_000, attempts: 1 });
    const [read] = await Promise.all([allOf(await store.openRead('read', signal)), write(store)]);
    expect(Buffer.compare(read, LONG.subarray(0, MIB))).toBe(0);
    await expectWhole();
    expect(proxy.requests.filter(isGet)).toHaveLength(1);
  });

  it('on which nothing comes any more is given up', async () => {
    const store = await through({ timeoutMs: 60_000, stallMs: 300, attempts: 2 });
    proxy.fault = (request) => (isPart(request) ? { hangs: true } : undefined);
    await expect(write(store)).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE', message: expect.stringContaining('inactivity') });
    await expectNothing();
  });

  it('is not waited for longer than a request without body may take', async () => {
    const store = await through({ timeoutMs: 300, attempts: 2 });
    proxy.fault = () => ({ hangs: true });
    await expect(store.list('', signal)).rejects.toMatchObject({
      code: 'REPOSITORY_UNAVAILABLE',
      message: expect.stringContaining('300 ms'),
    });
    expect(proxy.requests).toHaveLength(2);
  });
});

describe('a download that is cut', () => {
  beforeEach(() => write(direct()));

  it.each([0, 1, 4096, 7 * MIB, LONG.length - 1])('after %i bytes goes on from there', async (cutAfterBytes) => {
    proxy.fault = first(1, isGet, { cutAfterBytes });
    const read = await allOf(await (await through()).openRead('base.tar', signal));
    expect(Buffer.compare(read, LONG)).toBe(0);
    const [, second] = proxy.requests.filter(isGet);
    expect(second?.headers).toMatchObject({ range: expect.stringMatching(/^bytes=\d+-$/), 'if-match': expect.stringMatching(/^"/) });
  });

  it('again and again goes on as long as anything comes', async () => {
    proxy.fault = (request) => (isGet(request) ? { cutAfterBytes: MIB } : undefined);
    const store = await through();
    expect(Buffer.compare(await allOf(await store.openRead('base.tar', signal)), LONG)).toBe(0);
    expect(proxy.requests.filter(isGet).length).toBeGreaterThan(8);
  }, 60_000);

  it('is mended in a read of a whole object, too', async () => {
    proxy.fault = first(1, isGet, { cutAfterBytes: 100 });
    expect(Buffer.compare((await (await through()).read('base.tar', signal))!, LONG)).toBe(0);
  });

  it('is never spliced with another object of the same length', async () => {
    proxy.fault = first(1, isGet, { cutAfterBytes: MIB });
    const reading = (await through()).openRead('base.tar', signal);
    const pieces: Uint8Array[] = [];
    const consumed = (async () => {
      for await (const piece of (await reading)!) {
        if (pieces.push(piece) === 1) await direct().writeStream('base.tar', inPiecesOf(randomBytes(LONG.length), MIB), signal);
      }
    })();
    await expect(consumed).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE', message: expect.stringContaining('replaced') });
    const came = Buffer.concat(pieces);
    expect(Buffer.compare(came, LONG.subarray(0, came.length))).toBe(0);
  });

  it('says so where the object was removed meanwhile', async () => {
    proxy.fault = first(1, isGet, { cutAfterBytes: MIB });
    const pieces = (await (await through()).openRead('base.tar', signal))!;
    await direct().delete(['base.tar'], signal);
    await expect(allOf(pieces)).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE', message: expect.stringContaining('removed') });
  });

  it('ends by itself when the server is gone for good', async () => {
    const isRest = (request: ProxiedRequest) => isGet(request) && request.headers.range !== undefined;
    proxy.fault = (request) => (isRest(request) ? refusal(503, 'ServiceUnavailable') : isGet(request) ? { cutAfterBytes: MIB } : undefined);
    const pieces = (await (await through({ attempts: 2 })).openRead('base.tar', signal))!;
    await expect(allOf(pieces)).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
  });

  it('ends when it is cancelled', async () => {
    const controller = new AbortController();
    proxy.fault = (request) => (isGet(request) ? { bytesPerSecond: MIB } : undefined);
    const pieces = (await (await through()).openRead('base.tar', controller.signal))!;
    const reading = (async () => {
      for await (const _piece of pieces) controller.abort();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('the end of an upload', () => {
  const failed = { status: 200, body: '<?xml version="1.0"?><Error><Code>InternalError</Code><Message>sorry</Message></Error>' };

  it.each([
    ['an error', failed],
    ['an error and a newline', { ...failed, body: `${failed.body}\n` }],
    ['an error after much white space', { ...failed, body: `${' '.repeat(5000)}${failed.body}` }],
    ['nothing', { ...failed, body: '' }],
  ])('that is answered by %s in a 200 has failed', async (_what, answer) => {
    proxy.fault = (request) => (isComplete(request) ? { answer } : undefined);
    await expect(write(await through({ attempts: 2 }))).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
    await expectNothing();
  });

  it('that is answered by an error in a 200 is asked for again', async () => {
    proxy.fault = first(1, isComplete, { answer: failed });
    await write(await through());
    expect(proxy.requests.filter(isComplete)).toHaveLength(2);
    await expectWhole();
  });

  it('whose answer is lost has come, and is found', async () => {
    proxy.fault = (request) => (isComplete(request) ? { loses: true } : undefined);
    await write(await through({ attempts: 1 }));
    await expectWhole();
  });

  it('whose answer is lost is not taken for done where another object is there', async () => {
    await direct().writeStream('base.tar', inPiecesOf(randomBytes(LONG.length), MIB), signal);
    proxy.fault = (request) => (isComplete(request) ? { answer: failed } : undefined);
    await expect(write(await through({ attempts: 1 }))).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
    expect(await uploads()).toBe(0);
  });
});

describe('an upload that fails', () => {
  it('leaves one behind where it cannot be aborted, and that one is found and removed later', async () => {
    proxy.fault = (request) => (isPart(request) || request.method === 'DELETE' ? refusal(403, 'AccessDenied') : undefined);
    await expect(write(await through())).rejects.toMatchObject({ code: 'REPOSITORY_DENIED' });
    expect(await uploads()).toBe(1);
    const later = addMicros(instantOfMillis(Date.now()), 3_600_000_000n);
    expect(await direct().removeUnfinished(later, signal)).toBe(1);
    await expectNothing();
  });

  it('does not wait for a source that says nothing more', async () => {
    proxy.fault = (request) => (isPart(request) ? refusal(403, 'AccessDenied') : undefined);
    async function* stuck() {
      yield LONG.subarray(0, PART_BYTES + 1);
      await new Promise(() => undefined);
    }
    await expect((await through()).writeStream('base.tar', stuck(), signal)).rejects.toMatchObject({ code: 'REPOSITORY_DENIED' });
    await expectNothing();
  });
});

describe('objects that may not be removed', () => {
  it('stay all where the first of them does, so that a backup is whole or gone', async () => {
    const keys = ['backups/a/SHA256SUMS', ...Array.from({ length: 20 }, (_, index) => `backups/a/${index}`)];
    for (const key of keys) await direct().write(key, Buffer.from('x'), signal);
    proxy.fault = ({ method, url }) => (method === 'DELETE' && url.includes('SHA256SUMS') ? refusal(403, 'AccessDenied') : undefined);
    await expect((await through()).delete(keys, signal)).rejects.toMatchObject({ code: 'REPOSITORY_DENIED' });
    expect(await direct().list('', signal)).toHaveLength(keys.length);
  });
});

describe('a part or an object that is changed on the way', () => {
  it.each([
    ['auto', 'x-amz-checksum-crc32'],
    ['when_required', 'content-md5'],
  ] as const)('is refused with checksums: %s', async (checksums, header) => {
    const store = await through({ checksums, attempts: 1 });
    proxy.fault = ({ method }) => (method === 'PUT' ? { corrupts: true } : undefined);
    await expect(store.write('note', Buffer.from('short'), signal)).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
    await expect(write(store)).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
    await expectNothing();
    expect(proxy.requests.filter(({ method }) => method === 'PUT').every(({ headers }) => header in headers)).toBe(true);
    proxy.fault = () => undefined;
    await write(store);
    await expectWhole();
  });
});

describe('a listing', () => {
  it('of which a page fails is unknown as a whole', async () => {
    const Key = (index: number) => `main/wal/${String(index).padStart(4, '0')}`;
    for (let from = 0; from < 1100; from += 50)
      await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          made.s3.guarded(signal, (client) =>
            client.send(new made.s3.sdk.PutObjectCommand({ Bucket: made.s3.bucket, Key: Key(from + index), Body: 'x' })),
          ),
        ),
      );
    expect(await direct().list('wal/', signal)).toHaveLength(1100);
    proxy.fault = ({ url }) => (url.includes('continuation-token') ? refusal(500, 'InternalError') : undefined);
    await expect((await through({ attempts: 2 })).list('wal/', signal)).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
    expect(proxy.count('GET', 'continuation-token')).toBe(2);
  });
});

describe('keys that are refused', () => {
  const secrets = () => [made.connection.secretKey!, 'a-very-secret-token'];

  function expectNoSecret(thrown: unknown): void {
    for (const secret of secrets()) expect(inspect(thrown, { depth: 12, showHidden: true })).not.toContain(secret);
  }

  it.each([
    [400, 'ExpiredToken', 'session token'],
    [403, 'AccessDenied', 'rights on the bucket'],
    [403, 'SignatureDoesNotMatch', 'secret key'],
  ])('with %i %s are an error that holds no secret and says what to do', async (status, code, hint) => {
    const echo = (request: ProxiedRequest) =>
      refusal(status, code, 'no').answer!.body!.replace(
        '</Error>',
        `<CanonicalRequest>${inspect(request.headers)}</CanonicalRequest></Error>`,
      );
    proxy.fault = (request) => ({ answer: { status, body: echo(request) } });
    const store = await through({ sessionToken: 'a-very-secret-token' });
    const thrown: unknown = await store.read('a', signal).catch((caught: unknown) => caught);
    expect(thrown).toMatchObject({ code: 'REPOSITORY_DENIED', hint: expect.stringContaining(hint) });
    expect(proxy.requests).toHaveLength(1);
    expectNoSecret(thrown);
  });

  it('are asked for again once where they may have changed, and then it works', async () => {
    const { accessKey, secretKey } = made.connection;
    const readKeys = vi.fn(() => Promise.resolve({ accessKey: accessKey!, secretKey: secretKey! }));
    const store = await through({ accessKey: 'OLD', secretKey: 'old', readKeys });
    await write(store);
    expect(readKeys).toHaveBeenCalledTimes(1);
    await expectWhole();
  });

  it('stay refused where the new ones are, too', async () => {
    const readKeys = vi.fn(() => Promise.resolve({ accessKey: 'NEW', secretKey: 'new' }));
    const store = await through({ accessKey: 'OLD', secretKey: 'old', readKeys });
    for (const key of ['a', 'b'])
      await expect(store.read(key, signal)).rejects.toMatchObject({
        code: 'REPOSITORY_DENIED',
        message: expect.stringContaining('InvalidAccessKeyId'),
      });
    expect(readKeys).toHaveBeenCalledTimes(1);
  });
});

describe('keys that come from elsewhere than the configuration', () => {
  let giver: KeyGiver;
  beforeEach(async () => {
    giver = await KeyGiver.start();
    const none = join(tmpdir(), 'no-such-file');
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE']) vi.stubEnv(name, undefined);
    for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE']) vi.stubEnv(name, none);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await giver.stop();
  });

  const keysOf = ({ connection }: TestBucket) => ({ accessKey: connection.accessKey!, secretKey: connection.secretKey! });
  const withoutKeys = { accessKey: undefined, secretKey: undefined };

  it('as those of a container or an instance do, are had anew when they are refused before their time', async () => {
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `${giver.endpoint}/role`);
    giver.keys = [{ accessKey: 'ENDED', secretKey: 'ended' }, keysOf(made)];
    await write(await through(withoutKeys));
    expect(giver.answered).toBe(2);
    await expectWhole();
  });

  it('as a web identity does, are had for its token', async () => {
    const token = join(tmpdir(), 'token');
    await writeFile(token, 'the token');
    vi.stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', token);
    vi.stubEnv('AWS_ROLE_ARN', 'arn:aws:iam::123456789012:role/backup');
    vi.stubEnv('AWS_ENDPOINT_URL_STS', giver.endpoint);
    giver.keys = [keysOf(made)];
    await write(await through(withoutKeys));
    expect(giver.asked).toContain('WebIdentityToken=the%20token');
    await expectWhole();
    await rm(token);
  });

  it('but are not there, are named as missing', async () => {
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `${giver.endpoint}/role`);
    await expect((await through({ ...withoutKeys, attempts: 1 })).list('', signal)).rejects.toMatchObject({
      code: 'REPOSITORY_DENIED',
      message: expect.stringContaining('no credentials'),
      hint: expect.stringContaining('keyType'),
    });
    expect(proxy.requests).toEqual([]);
  });
});

describe('a clock that is wrong', () => {
  it.each([
    [20, '20 min ahead of'],
    [-40, '40 min behind'],
  ])('by %i minutes is named with how far and which side', async (minutes, said) => {
    const store = await through({ attempts: 1 });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + minutes * 60_000 });
    const reading = store.list('', signal).finally(() => vi.useRealTimers());
    await expect(reading).rejects.toMatchObject({
      code: 'REPOSITORY_DENIED',
      message: expect.stringContaining(said),
      hint: expect.stringContaining('timedatectl'),
    });
  });
});

describe('a server whose certificate is not trusted', () => {
  it('is sent nothing, and the certificate is named', async () => {
    for (const call of [(store: BlobStore) => store.write('a', LONG, signal), (store: BlobStore) => store.list('', signal)])
      await expect(call(await through({ caFile: undefined, attempts: 2 }))).rejects.toMatchObject({
        code: 'REPOSITORY_UNAVAILABLE',
        message: expect.stringContaining('certificate'),
        hint: expect.stringContaining('caFile'),
      });
    const otherName = await through({ endpoint: proxy.endpoint.replace('127.0.0.1', '[::ffff:127.0.0.1]'), attempts: 1 });
    await expect(otherName.list('', signal)).rejects.toMatchObject({ message: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID') });
    expect(proxy.requests).toEqual([]);
  });
});
