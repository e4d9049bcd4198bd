import { afterEach, describe, expect, it } from 'vitest';
import { S3LeaseStore } from '../../src/adapters/s3/lease-store.ts';
import { SpokeError } from '../../src/errors.ts';
import { buildCluster } from '../fakes/cluster.ts';
import { FakeProcess } from '../fakes/process.ts';
import { MemoryRegister, TestClock } from '../fakes/register.ts';
import { fakeLeases } from '../fakes/state.ts';
import { claimOf, FIRST, holderOf, leaseContract, leaseOf, SECOND } from './lease.contract.ts';

const TERM_MS = 30_000;
const signal = new AbortController().signal;
const dead = new Set<number>();
afterEach(() => dead.clear());

function storeOn(register: MemoryRegister, clock: TestClock, pid = 1): S3LeaseStore {
  return new S3LeaseStore(() => Promise.resolve(register), {
    place: 'memory',
    clock,
    termMs: TERM_MS,
    ownProcess: { pid },
    isGone: (process) => Promise.resolve(dead.has(Number(process['pid']))),
  });
}

leaseContract('the memory of the fake world', () => {
  const process = new FakeProcess(buildCluster().world);
  return Promise.resolve({ open: () => fakeLeases(process), dispose: () => Promise.resolve() });
});

leaseContract('a register in memory', () => {
  // Whoever collides sleeps for a real moment here.
  const clock = Object.assign(new TestClock(), { sleep: () => new Promise<void>((resolve) => setImmediate(resolve)) });
  const register = new MemoryRegister(clock);
  return Promise.resolve({ open: () => storeOn(register, clock), dispose: () => Promise.resolve() });
});

describe('a lease in a register that hosts share', () => {
  function hosts() {
    const clock = new TestClock();
    const register = new MemoryRegister(clock);
    const [one, other] = [storeOn(register, clock, 1), storeOn(register, clock, 2)];
    return {
      clock,
      register,
      first: () => one.tryAcquire(claimOf('daemon'), holderOf('daemon', 'db1'), signal),
      second: () => other.tryAcquire(claimOf('daemon'), holderOf('daemon', 'db2'), signal),
      runOfFirst: () => one.tryAcquire(claimOf(), holderOf(FIRST, 'db1'), signal),
      other,
    };
  }

  it('goes to another host a term after its holder fell silent, and not before', async () => {
    const { clock, first, second } = hosts();
    const lease = leaseOf(await first());
    expect(lease.goodUntilMs()).toBe(TERM_MS);
    expect(await second()).toMatchObject({ kind: 'held', by: { holder: { host: 'db1' } } });
    await clock.advance(TERM_MS - 1);
    expect(await second()).not.toMatchObject({ kind: 'acquired' });
    await clock.advance(1);
    expect(leaseOf(await second()).epoch).toBe(2);
    await expect(lease.renew(signal)).rejects.toMatchObject({ code: 'LEASE_LOST', exitCode: 11, message: expect.stringContaining('db2') });
  });

  it('stays with a holder that renews it, however often others look', async () => {
    const { clock, first, second } = hosts();
    const lease = leaseOf(await first());
    for (let round = 0; round < 20; round += 1) {
      await clock.advance(TERM_MS / 2);
      await lease.renew(signal);
      expect(await second()).toMatchObject({ kind: 'held' });
    }
  });

  it('is not given up because the clock of the server jumped', async () => {
    const { clock, register, first, second } = hosts();
    leaseOf(await first());
    register.serverSkewMs = 30 * 86_400_000;
    expect(await second()).toMatchObject({ kind: 'held', retryAfterMs: TERM_MS });
    await clock.advance(TERM_MS / 2);
    expect(await second()).toMatchObject({ kind: 'held', retryAfterMs: TERM_MS / 2 });
  });

  it('of a process that died on this machine is free at once', async () => {
    const { first, second } = hosts();
    leaseOf(await first());
    dead.add(1);
    expect(leaseOf(await second()).epoch).toBe(2);
  });

  it('is ours though the answer to the write was lost', async () => {
    const { register, clock, first } = hosts();
    register.losesAnswer = true;
    const attempt = first();
    await clock.advance(1_000);
    const lease = leaseOf(await attempt);
    expect(lease.epoch).toBe(1);
    register.losesAnswer = true;
    const renewal = lease.renew(signal);
    await clock.advance(1_000);
    await renewal;
    expect(lease.goodUntilMs()).toBeGreaterThan(TERM_MS);
  });

  it('is not concluded from a server that does not answer', async () => {
    const { register, first, second } = hosts();
    const lease = leaseOf(await first());
    register.fault = new SpokeError('REPOSITORY_UNAVAILABLE', 'no route to host');
    await expect(lease.renew(signal)).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
    await expect(second()).rejects.toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
    register.fault = undefined;
    await lease.renew(signal);
  });

  it('of a run keeps away what conflicts with it and nothing else', async () => {
    const { runOfFirst, first, other } = hosts();
    leaseOf(await first());
    const run = leaseOf(await runOfFirst());
    const expire = () => other.tryAcquire(claimOf('expire'), holderOf(SECOND, 'db2'), signal);
    expect(await expire()).toMatchObject({ kind: 'held', by: { holder: { name: FIRST } } });
    leaseOf(await other.tryAcquire(claimOf('restore-beside', { dataDirectory: '/data' }), holderOf('third', 'db2'), signal));
    await run.release();
    expect(await other.list(signal)).toMatchObject([{ claim: { verb: 'daemon' } }, { claim: { verb: 'restore-beside' } }]);
  });

  it.each(['', '{', '{"schema":2}', '{"schema":1,"lastEpoch":1,"leases":[{}]}'])(
    'is held where %j is all that is known of it',
    async (text) => {
      const { register, first } = hosts();
      register.text = text;
      register.version = 1;
      await expect(first()).rejects.toMatchObject({ code: 'LOCKED', hint: expect.stringContaining('same version') });
    },
  );
});
