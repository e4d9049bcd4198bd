import { SpokeError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { OperationContext } from '../../ports/operation.ts';

/** The workers of a pgBackRest that was killed hold its lock until they notice, which took 23 s. A living one holds it for longer. */
const PATIENCE_MS = 45_000;
const PAUSE_MS = 1_000;

/** Runs a command, again where another pgBackRest holds the lock, for as long as a dead one may. Throws LOCKED after that. */
export async function whileLocked<T>(clock: Clock, context: OperationContext, run: () => Promise<T>): Promise<T> {
  const startedMs = clock.monotonicMs();
  for (;;) {
    try {
      return await run();
    } catch (thrown) {
      const isLocked = thrown instanceof SpokeError && thrown.code === 'LOCKED';
      if (!isLocked || clock.monotonicMs() - startedMs >= PATIENCE_MS) throw thrown;
    }
    context.onProgress?.({ phase: 'waiting for another pgBackRest to end' });
    await clock.sleep(PAUSE_MS, context.signal);
  }
}
