import { expect, it } from 'vitest';
import { whileLocked } from '../../../src/adapters/pgbackrest/lock.ts';
import { instantOfMicros } from '../../../src/domain/time/instant.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { Clock } from '../../../src/ports/clock.ts';

function fakeClock(): Clock & { nowMs: number } {
  const clock = {
    nowMs: 0,
    now: () => instantOfMicros(0n),
    monotonicMs: () => clock.nowMs,
    sleep: (ms: number, signal: AbortSignal) => {
      if (signal.aborted) return Promise.reject(signal.reason as Error);
      clock.nowMs += ms;
      return Promise.resolve();
    },
  };
  return clock;
}

const locked = () => Promise.reject(new SpokeError('LOCKED', 'held'));

it('waits for a lock that workers of a dead process hold: 23 s were seen', async () => {
  const clock = fakeClock();
  const { signal } = new AbortController();
  expect(await whileLocked(clock, { signal }, () => (clock.nowMs < 23_000 ? locked() : Promise.resolve('done')))).toBe('done');
});

it('gives up on a living one', async () => {
  const clock = fakeClock();
  await expect(whileLocked(clock, { signal: new AbortController().signal }, locked)).rejects.toMatchObject({ code: 'LOCKED' });
  expect(clock.nowMs).toBeLessThan(60_000);
});

it('does not wait for anything else', async () => {
  const clock = fakeClock();
  const failing = () => Promise.reject(new SpokeError('TOOL_FAILED', 'no'));
  await expect(whileLocked(clock, { signal: new AbortController().signal }, failing)).rejects.toMatchObject({ code: 'TOOL_FAILED' });
  expect(clock.nowMs).toBe(0);
});

it('stops waiting when it is cancelled', async () => {
  const reason = new SpokeError('CANCELLED', 'enough');
  await expect(whileLocked(fakeClock(), { signal: AbortSignal.abort(reason) }, locked)).rejects.toBe(reason);
});
