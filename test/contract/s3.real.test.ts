import { afterEach, describe, expect, it, vi } from 'vitest';
import { createSystemClock } from '../../src/adapters/clock/clock.ts';
import { openS3Client, type S3Client } from '../../src/adapters/s3/client.ts';
import { type ConditionalWrites, probeConditionalWrites, writeIf } from '../../src/adapters/s3/conditional-write.ts';
import { createHousekeeping } from '../../src/adapters/s3/housekeeping.ts';
import { S3LeaseStore } from '../../src/adapters/s3/lease-store.ts';
import { listObjects } from '../../src/adapters/s3/object-store.ts';
import { openRegister } from '../../src/adapters/s3/register.ts';
import { acquireLeases } from '../../src/engine/leases.ts';
import { useS3Server } from '../harness/s3.ts';
import { claimOf, holderOf, leaseContract, leaseOf } from './lease.contract.ts';
import { objectStoreContract } from './object-store.contract.ts';

const clock = createSystemClock();
const signal = new AbortController().signal;
const server = useS3Server();
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const PATH = 'main/spoke-backup/main/leases';
const CREATE: ConditionalWrites = { kind: 'create', reason: 'it refuses If-Match with the current ETag' };

/** A host of its own: nothing that one knows is known to another. */
function host(s3: S3Client, can: ConditionalWrites | undefined, termMs: number): S3LeaseStore {
  const open = async () => openRegister(s3, PATH, can ?? (await probeConditionalWrites(s3, PATH, signal)), signal);
  return new S3LeaseStore(open, { place: s3.place, clock, termMs, ownProcess: { pid: process.pid }, isGone: () => Promise.resolve(false) });
}

leaseContract('an object changed by its ETag', async () => {
  const { s3 } = await server.bucket();
  return { open: () => host(s3, undefined, 30_000), dispose: () => Promise.resolve() };
});

leaseContract('numbered objects', async () => {
  const { s3 } = await server.bucket();
  return { open: () => host(s3, CREATE, 30_000), dispose: () => Promise.resolve() };
});

describe('leases in a bucket', () => {
  it('rest on what the server really does, and the trial leaves nothing behind', async () => {
    const { s3 } = await server.bucket();
    const can = await probeConditionalWrites(s3, PATH, signal);
    // Ceph 20 honours both; Ceph 18 refuses If-Match with the current ETag.
    expect(['etag', 'create']).toContain(can.kind);
    expect(await listObjects(s3, '', signal)).toEqual([]);
  });

  it.each([
    ['by its ETag', undefined],
    ['in numbered objects', CREATE],
  ])('%s go to another host a term after their holder died', async (_how, can) => {
    const { s3 } = await server.bucket();
    const termMs = 2_000;
    const dead = leaseOf(await host(s3, can, termMs).tryAcquire(claimOf('daemon'), holderOf('daemon', 'db1'), signal));
    const diedMs = clock.monotonicMs();
    const said: string[] = [];
    const held = await acquireLeases(claimOf('daemon'), holderOf('daemon', 'db2'), {
      stores: [host(s3, can, termMs)],
      clock,
      signal,
      say: (_level, message) => said.push(message),
      waitMs: Infinity,
    });
    cleanUps.push(() => held.release());
    const tookMs = clock.monotonicMs() - diedMs;
    expect(tookMs).toBeGreaterThan(termMs * 0.9);
    expect(tookMs).toBeLessThan(termMs * 2 + 5_000);
    expect(held.epoch).toBe(2);
    expect(said.join('\n')).toContain('db1');
    await expect(dead.renew(signal)).rejects.toMatchObject({ code: 'LEASE_LOST' });
  });

  it('keep the objects of numbered versions few', async () => {
    const { s3 } = await server.bucket();
    const lease = leaseOf(await host(s3, CREATE, 30_000).tryAcquire(claimOf(), holderOf('run'), signal));
    for (let round = 0; round < 5; round += 1) await lease.renew(signal);
    expect((await listObjects(s3, PATH, signal)).map(({ key }) => key)).toEqual([`${PATH}/000000000000006`]);
  });

  it('stay in numbered objects also once the server has learned If-Match', async () => {
    const { s3 } = await server.bucket();
    const lease = leaseOf(await host(s3, CREATE, 30_000).tryAcquire(claimOf(), holderOf('run'), signal));
    expect(await host(s3, { kind: 'etag' }, 30_000).tryAcquire(claimOf(), holderOf('other'), signal)).toMatchObject({ kind: 'held' });
    await lease.release();
  });

  it('are not written by a host that slept while its number was used and deleted', async () => {
    const { s3 } = await server.bucket();
    const [awake, sleeper] = [await openRegister(s3, PATH, CREATE, signal), await openRegister(s3, PATH, CREATE, signal)];
    expect(await awake.write('1', undefined, signal)).toBe(true);
    const seen = await sleeper.read(signal);
    for (const text of ['2', '3', '4']) expect(await awake.write(text, (await awake.read(signal)).version, signal)).toBe(true);
    expect(await sleeper.write('stale', seen.version, signal)).toBe(false);
    expect((await sleeper.read(signal)).text).toBe('4');
  });

  it('are refused where the server honours no condition', async () => {
    const { s3 } = await server.bucket();
    const refused = openRegister(s3, PATH, { kind: 'none', reason: 'it overwrites' }, signal);
    await expect(refused).rejects.toMatchObject({
      code: 'REFUSED_PRECONDITION',
      exitCode: 12,
      message: expect.stringContaining('it overwrites'),
    });
  });

  it('know the time of the server', async () => {
    const { s3 } = await server.bucket();
    const register = await openRegister(s3, PATH, { kind: 'etag' }, signal);
    const { serverNow } = await register.read(signal);
    expect(Math.abs(Number(serverNow! - clock.now()) / 1e6)).toBeLessThan(10);
  });
});

describe('a conditional write', () => {
  it('of an object that is gone is refused', async () => {
    const { s3 } = await server.bucket();
    expect(await writeIf(s3, 'key', 'text', { etag: '"00000000000000000000000000000000"' }, signal)).toBeUndefined();
  });
});

describe('an S3 server', () => {
  it('is asked again with its own time where our clock is wrong, and says "clock" where that is not tried', async () => {
    const { connection } = await server.bucket();
    const skewed = async (attempts: number) => {
      const s3 = await openS3Client({ ...connection, attempts });
      cleanUps.push(() => s3.close());
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 20 * 60_000 });
      return listObjects(s3, '', signal).finally(() => vi.useRealTimers());
    };
    expect(await skewed(2)).toEqual([]);
    await expect(skewed(1)).rejects.toMatchObject({
      code: 'REPOSITORY_DENIED',
      message: expect.stringContaining('RequestTimeTooSkewed'),
      hint: expect.stringContaining('clock'),
    });
  });

  it('is not believed without its certificate', async () => {
    const { connection } = await server.bucket();
    const { caFile: _left, ...without } = connection;
    const s3 = await openS3Client(without);
    cleanUps.push(() => s3.close());
    await expect(probeConditionalWrites(s3, PATH, signal)).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
    const careless = await openS3Client({ ...without, verifyTls: false });
    cleanUps.push(() => careless.close());
    expect(await listObjects(careless, '', signal)).toEqual([]);
  });
});

objectStoreContract('the S3 server of the lab', async () => {
  const { s3 } = await server.bucket({ versioned: true });
  const { sdk, bucket: Bucket, guarded } = s3;
  return {
    store: createHousekeeping(s3),
    put: async (Key, Body) => void (await guarded(signal, (client) => client.send(new sdk.PutObjectCommand({ Bucket, Key, Body })))),
    remove: async (Key) => void (await guarded(signal, (client) => client.send(new sdk.DeleteObjectCommand({ Bucket, Key })))),
    beginUpload: async (Key) => {
      const { UploadId } = await guarded(signal, (client) => client.send(new sdk.CreateMultipartUploadCommand({ Bucket, Key })));
      const part = { Bucket, Key, UploadId, PartNumber: 1, Body: 'part' };
      await guarded(signal, (client) => client.send(new sdk.UploadPartCommand(part)));
    },
    dispose: () => Promise.resolve(),
  };
});

describe('the protection of a bucket', () => {
  it('is off in a plain one', async () => {
    const { s3 } = await server.bucket();
    expect(await createHousekeeping(s3).readProtection(signal)).toEqual({ versioning: 'off', objectLock: 'off' });
  });

  it('is what was set where there is a lock', async () => {
    const { s3 } = await server.bucket({ locked: true });
    const { sdk, bucket: Bucket } = s3;
    expect(await createHousekeeping(s3).readProtection(signal)).toEqual({ versioning: 'enabled', objectLock: {} });
    const rule = { DefaultRetention: { Mode: 'COMPLIANCE' as const, Days: 31 } };
    const lock = { Bucket, ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled' as const, Rule: rule } };
    await s3.guarded(signal, (client) => client.send(new sdk.PutObjectLockConfigurationCommand(lock)));
    expect(await createHousekeeping(s3).readProtection(signal)).toMatchObject({
      objectLock: { defaultRetention: { mode: 'compliance', days: 31 } },
    });
  });
});
