import { SpokeError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { RunId, RunReader } from '../ports/run-store.ts';

const LOOK_EVERY_MS = 500;

/**
 * For whoever works on several runs: aborts `controller` once `runs cancel` has asked for the end of this one. Resolves then, or
 * when `done` aborts; never rejects, since not being able to look is no reason to end anything.
 */
export async function abortWhenAsked(
  { runs, clock }: { readonly runs: RunReader; readonly clock: Clock },
  runId: RunId,
  controller: AbortController,
  done: AbortSignal,
): Promise<void> {
  while (!done.aborted && !controller.signal.aborted) {
    if (await runs.isCancelRequested(runId).catch(() => false))
      controller.abort(new SpokeError('CANCELLED', `${runId} was asked to end by runs cancel`));
    else await clock.sleep(LOOK_EVERY_MS, done).catch(() => undefined);
  }
}
