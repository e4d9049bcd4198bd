import { performance } from 'node:perf_hooks';
import { instantOfMillis } from '../../domain/time/instant.ts';
import type { Clock } from '../../ports/clock.ts';

/** The machine's clock. */
export function createSystemClock(): Clock {
  return {
    now: () => instantOfMillis(Date.now()),
    monotonicMs: () => performance.now(),
    sleep,
  };
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
