import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../../../src/adapters/clock/clock.ts';

const clock = createSystemClock();

describe('the machine’s clock', () => {
  it('tells microseconds since the epoch', () => {
    const before = BigInt(Date.now()) * 1000n;
    const now = clock.now();
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(BigInt(Date.now()) * 1000n);
  });

  it('sleeps as long as it was told', async () => {
    const before = clock.monotonicMs();
    await clock.sleep(20, new AbortController().signal);
    // A timer may fire within the millisecond before.
    expect(clock.monotonicMs() - before).toBeGreaterThanOrEqual(19);
  });

  it('wakes at once, with the reason, when the caller gives up', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const sleeping = clock.sleep(60_000, abort.signal);
    abort.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
    await expect(clock.sleep(60_000, abort.signal)).rejects.toBe(reason);
  });
});
