import { describe, expect, it } from 'vitest';
import { S3LeaseStore } from '../../../src/adapters/s3/lease-store.ts';
import { acquireLeases } from '../../../src/engine/leases.ts';
import { asSpokeError, SpokeError } from '../../../src/errors.ts';
import { MemoryRegister, TestClock } from '../../fakes/register.ts';

const TERM_MS = 30_000;
const UNREACHABLE = new SpokeError('REPOSITORY_UNAVAILABLE', 'no route to host');

/** Two daemons that share a register and nothing else. */
function daemons() {
  const clock = new TestClock();
  const register = new MemoryRegister(clock);
  const said: string[] = [];
  const daemon = (host: string, waitMs?: number) => {
    const store = new S3LeaseStore(() => Promise.resolve(register), {
      place: 'the bucket',
      clock,
      termMs: TERM_MS,
      ownProcess: { pid: 1 },
      isGone: () => Promise.resolve(false),
    });
    const controller = new AbortController();
    const held = acquireLeases(
      { verb: 'daemon', cluster: 'main', repositories: [], host },
      { name: 'daemon', pid: 1, host, since: clock.now() },
      {
        stores: [store],
        clock,
        signal: controller.signal,
        say: (_level, message) => said.push(`${host}: ${message}`),
        ...(waitMs !== undefined && { waitMs }),
      },
    );
    return { held, controller };
  };
  return { clock, register, said, daemon };
}

describe('of two daemons', () => {
  it('one works and the other stands by, and works within 40 s of the end of the first without notice', async () => {
    const { clock, register, said, daemon } = daemons();
    const first = await daemon('db1').held;
    let second: string | undefined;
    const standby = daemon('db2', Infinity).held.then((held) => {
      second = 'works';
      return held;
    });
    await clock.advance(10 * TERM_MS);
    first.ensureGood();
    expect(second).toBeUndefined();
    expect(said).toEqual(['db2: waiting: main is in use by the daemon (daemon, pid 1 on db1, since 2026-11-22 21:16:28 UTC)']);
    // It dies: nothing that it does reaches the register any more.
    const { write } = register;
    const lastRenewal = register.version;
    register.write = async (text, version, ...rest) => (text.includes('"db2"') ? write.call(register, text, version, ...rest) : false);
    await clock.advance(40_000);
    expect(register.version).toBeGreaterThan(lastRenewal);
    expect(second).toBe('works');
    expect((await standby).epoch).toBe(2);
  });

  it('the one that works stops beginning things before the other can begin any', async () => {
    const { clock, register, said, daemon } = daemons();
    const first = await daemon('db1').held;
    const second = daemon('db2', Infinity);
    const goodUntil: number[] = [];
    register.fault = UNREACHABLE;
    for (let ms = 0; ms < TERM_MS; ms += 500) {
      await clock.advance(500);
      try {
        first.ensureGood();
        goodUntil.push(clock.elapsedMs);
      } catch (thrown) {
        expect(asSpokeError(thrown)).toMatchObject({ code: 'LEASE_LOST' });
      }
    }
    expect(Math.max(...goodUntil)).toBeLessThan(TERM_MS - 3_000);
    expect(Math.max(...goodUntil)).toBeGreaterThan(TERM_MS / 2);
    expect(said).toContainEqual(expect.stringContaining('db1: the lease cannot be renewed'));
    expect(said).toContainEqual('db2: waiting: no route to host');
    expect(first.lost.aborted).toBe(false);
    second.controller.abort(new SpokeError('TERMINATED', 'asked to end'));
    await expect(second.held).rejects.toMatchObject({ code: 'TERMINATED' });
  });

  it('a second one that does not wait is told at once who works', async () => {
    const { daemon } = daemons();
    await daemon('db1').held;
    await expect(daemon('db2').held).rejects.toMatchObject({ code: 'LOCKED', exitCode: 11, details: { host: 'db1', verb: 'daemon' } });
  });

  it('one that cannot reach the register and does not wait says so', async () => {
    const { register, daemon } = daemons();
    register.fault = UNREACHABLE;
    await expect(daemon('db1').held).rejects.toBe(UNREACHABLE);
  });

  it('the other works at once when the first has ended as it should', async () => {
    const { clock, daemon } = daemons();
    const first = await daemon('db1').held;
    const second = daemon('db2', Infinity);
    await first.release();
    await clock.advance(2_000);
    expect((await second.held).epoch).toBe(2);
  });
});
