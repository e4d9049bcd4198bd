import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createHousekeeping } from '../../src/adapters/s3/housekeeping.ts';
import type { S3Client } from '../../src/adapters/s3/client.ts';
import { checkOnline } from '../../src/cli/check-online.ts';
import { createProcessRunner } from '../../src/composition.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { LAB_KMS_KEY_ID } from '../../src/lab/s3-server/ceph-config.ts';
import { FaultProxy, refusal } from '../harness/fault-proxy.ts';
import { type TestBucket, useS3Server } from '../harness/s3.ts';

const signal = new AbortController().signal;
const server = useS3Server();
let proxy: FaultProxy;
const PATH = 'clusters.main.repositories[0]';

beforeAll(async () => {
  proxy = await FaultProxy.before((await server.bucket()).connection, join(tmpdir(), 'proxy'));
});
afterEach(() => {
  proxy.fault = () => undefined;
});
afterAll(async () => {
  await proxy.close();
  await rm(join(tmpdir(), 'proxy'), { recursive: true });
  await rm(join(tmpdir(), 'config.yaml'), { force: true });
});

/** What `config check --online` says of a bucket behind the proxy. */
async function check({ connection }: TestBucket, more = '') {
  const path = join(tmpdir(), 'config.yaml');
  const { port } = new URL(proxy.endpoint);
  const repository = `{name: s3, kind: s3, bucket: ${connection.bucket}, endpoint: 127.0.0.1, port: ${port}, region: default, uriStyle: path,
      caFile: ${proxy.caFile}, accessKey: "\${env:KEY}", secretKey: "\${env:SECRET}", retention: {days: 30}${more}}`;
  await writeFile(path, `clusters:\n  main:\n    repositories:\n    - ${repository}\n`, { mode: 0o600 });
  const configuration = await loadConfiguration({ path, environment: {} });
  const environment = { KEY: connection.accessKey, SECRET: connection.secretKey };
  return checkOnline(configuration, { environment, processes: createProcessRunner(), signal, version: '0.1.0' });
}

async function lockBy(s3: S3Client, mode: 'COMPLIANCE' | 'GOVERNANCE', days: number): Promise<void> {
  const rule = { DefaultRetention: { Mode: mode, Days: days } };
  const lock = { Bucket: s3.bucket, ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled' as const, Rule: rule } };
  await s3.guarded(signal, (client) => client.send(new s3.sdk.PutObjectLockConfigurationCommand(lock)));
}

async function versionsIn(s3: S3Client): Promise<number> {
  const answer = await s3.guarded(signal, (client) => client.send(new s3.sdk.ListObjectVersionsCommand({ Bucket: s3.bucket })));
  return (answer.Versions ?? []).length;
}

const said = (one: { readonly message: string }) => one.message;

describe('a bucket without a lock', () => {
  it.each([
    ['plain', {}],
    ['versioned', { versioned: true }],
    ['that could lock, but locks nothing by itself', { locked: true }],
  ])('%s is said to have none, and keeps nothing of the trial', async (_what, options) => {
    const bucket = await server.bucket(options);
    const { findings, notes } = await check(bucket);
    expect(findings).toEqual([]);
    expect(notes.map(said)).toEqual([
      expect.stringMatching(/^an upload in parts works with checksums: auto; conditional writes work/),
      expect.stringContaining('nothing is locked'),
    ]);
    expect(
      (await createHousekeeping(bucket.s3).readRetainedVersions('main/spoke-backup/main/check/canary', signal)).noncurrentVersions,
    ).toBe(0);
  });
});

describe('a bucket with a lock', () => {
  it('for longer than the window is proven to be locked', async () => {
    const bucket = await server.bucket({ locked: true });
    await lockBy(bucket.s3, 'COMPLIANCE', 38);
    const { findings, notes } = await check(bucket);
    expect(findings).toEqual([]);
    expect(notes.map(said)).toContainEqual(expect.stringContaining('locked for 38 days (compliance)'));
    expect(await versionsIn(bucket.s3)).toBeGreaterThan(0);
  });

  it('for less than the window is a finding', async () => {
    const bucket = await server.bucket({ locked: true });
    await lockBy(bucket.s3, 'COMPLIANCE', 7);
    expect((await check(bucket)).findings).toEqual([
      {
        severity: 'warning',
        path: `${PATH}.retention.days`,
        message: expect.stringContaining('locked for 7 days, the recovery window is 30'),
        hint: expect.stringContaining('default retention'),
      },
    ]);
  });

  it('that our own keys can bypass is a finding, and nothing is left behind its back', async () => {
    const bucket = await server.bucket({ locked: true });
    await lockBy(bucket.s3, 'GOVERNANCE', 60);
    const { findings } = await check(bucket);
    expect(findings).toMatchObject([{ severity: 'warning', path: PATH, message: expect.stringContaining('bypassed') }]);
  });
});

describe('a service', () => {
  it('that refuses additional checksums is told from one that cannot be used, and what to set is said', async () => {
    const bucket = await server.bucket();
    proxy.fault = ({ headers }) =>
      Object.keys(headers).some((name) => name.startsWith('x-amz-checksum')) ? refusal(501, 'NotImplemented') : undefined;
    expect((await check(bucket)).findings).toMatchObject([
      { severity: 'error', path: `${PATH}.checksums`, hint: 'Set checksums: when_required' },
    ]);
    expect((await check(bucket, ', checksums: when_required')).findings).toEqual([]);
  });

  it('that refuses to encrypt is an error with what it says, found before anything rests on it', async () => {
    const bucket = await server.bucket();
    proxy.fault = ({ headers }) => ('x-amz-server-side-encryption' in headers ? refusal(400, 'KMS.NotFoundException') : undefined);
    expect((await check(bucket, ', serverSideEncryption: {type: aws:kms, kmsKeyId: one}')).findings).toMatchObject([
      { severity: 'error', path: `${PATH}.serverSideEncryption`, message: expect.stringContaining('KMS.NotFoundException') },
    ]);
  });

  it('that has no key of its own to encrypt with is told from one that cannot be used', async () => {
    const bucket = await server.bucket();
    expect((await check(bucket, ', serverSideEncryption: {type: AES256}')).findings).toMatchObject([
      { severity: 'error', path: `${PATH}.serverSideEncryption`, message: expect.stringContaining('takes what has none') },
    ]);
  });

  it('that encrypts as it is asked to is fit', async () => {
    const bucket = await server.bucket();
    expect((await check(bucket, `, serverSideEncryption: {type: aws:kms, kmsKeyId: ${LAB_KMS_KEY_ID}}`)).findings).toEqual([]);
  });

  it('that takes the request to encrypt and says nothing of having done it is a warning', async () => {
    const bucket = await server.bucket();
    proxy.fault = ({ method }) => (method === 'HEAD' ? { answer: { status: 200 } } : undefined);
    expect((await check(bucket, `, serverSideEncryption: {type: aws:kms, kmsKeyId: ${LAB_KMS_KEY_ID}}`)).findings).toMatchObject([
      { severity: 'warning', path: `${PATH}.serverSideEncryption`, message: expect.stringMatching(/with aws:kms, and .* with nothing$/) },
    ]);
  });

  it('that does not take uploads in parts is an error', async () => {
    const bucket = await server.bucket();
    proxy.fault = ({ url, method }) => (method === 'POST' && url.includes('uploads') ? refusal(501, 'NotImplemented') : undefined);
    expect((await check(bucket)).findings).toMatchObject([
      { severity: 'error', path: PATH, message: expect.stringContaining('NotImplemented') },
    ]);
  });

  it('whose keys may not write is an error with what to do', async () => {
    const bucket = await server.bucket();
    proxy.fault = ({ method }) => (method === 'PUT' ? refusal(403, 'AccessDenied') : undefined);
    expect((await check(bucket)).findings).toMatchObject([
      { severity: 'error', path: PATH, message: expect.stringContaining('refuses us'), hint: expect.stringContaining('rights') },
    ]);
  });

  it('whose clock is another is a warning with how far it is off', async () => {
    const bucket = await server.bucket();
    const date = new Date(Date.now() - 5 * 60_000).toUTCString();
    proxy.fault = ({ method, url }) =>
      method === 'GET' && url.includes('max-keys=1')
        ? { answer: { status: 200, body: '<?xml version="1.0"?><ListBucketResult></ListBucketResult>', headers: { date } } }
        : undefined;
    expect((await check(bucket)).findings).toMatchObject([
      { severity: 'warning', path: PATH, message: expect.stringMatching(/clock is 30\d s ahead of/) },
    ]);
  });

  it('that cannot say whether what is locked is locked is not believed to lock', async () => {
    const bucket = await server.bucket();
    proxy.fault = ({ method, url }) => (method === 'DELETE' && url.includes('canary') ? refusal(403, 'AccessDenied') : undefined);
    const { findings, notes } = await check(bucket);
    expect(findings).toEqual([]);
    expect(notes.map(said)).toContainEqual(expect.stringContaining('nothing was seen that locks it'));
  });
});
