import type { Clock } from '../ports/clock.ts';

const EVERY_MS = 5_000;
/** An NTP daemon slews; what steps further than this is a jump, or the machine slept. */
const LEAST_JUMP_MS = 2_000;

/** Notices that the clock was set, or that the machine slept, and says by how many seconds. Ends with the signal. */
export async function watchClock(clock: Clock, signal: AbortSignal, onJump: (seconds: number) => void): Promise<void> {
  let wall = clock.now();
  let monotonicMs = clock.monotonicMs();
  const isOver = () => signal.aborted;
  while (!isOver()) {
    await clock.sleep(EVERY_MS, signal).catch(() => undefined);
    const [wallNow, monotonicNowMs] = [clock.now(), clock.monotonicMs()];
    const jumpMs = Number(wallNow - wall) / 1000 - (monotonicNowMs - monotonicMs);
    if (!isOver() && Math.abs(jumpMs) >= LEAST_JUMP_MS) onJump(jumpMs / 1000);
    wall = wallNow;
    monotonicMs = monotonicNowMs;
  }
}
