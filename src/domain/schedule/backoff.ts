import type { RetryClass } from '../../errors.ts';
import { addMicros, type Instant } from '../time/instant.ts';
import type { PastRun } from './past-run.ts';

interface Backoff {
  readonly firstSeconds: number;
  readonly mostSeconds: number;
  readonly mostAttempts: number;
}

/** What passes by itself is tried again soon; what somebody has to mend first, seldom, and a few times only. */
const BACKOFFS: Readonly<Record<RetryClass, Backoff>> = {
  transient: { firstSeconds: 60, mostSeconds: 1800, mostAttempts: Infinity },
  alternative: { firstSeconds: 300, mostSeconds: 3600, mostAttempts: Infinity },
  none: { firstSeconds: 3600, mostSeconds: 14_400, mostAttempts: 3 },
};

/** When a run that failed may be tried again: each time after twice the delay. `never`: not before its next occurrence. */
export function retryAt({ attempts, state }: PastRun, now: Instant): Instant | 'never' {
  if (state.kind !== 'failed') return now;
  const { firstSeconds, mostSeconds, mostAttempts } = BACKOFFS[state.retry];
  if (attempts >= mostAttempts) return 'never';
  // It ended in what is the future by now: the clock was put back, and nobody knows how long ago it was.
  if (state.endedAt > now) return now;
  const seconds = Math.min(mostSeconds, firstSeconds * 2 ** Math.min(attempts - 1, 20));
  return addMicros(state.endedAt, BigInt(seconds) * 1_000_000n);
}
