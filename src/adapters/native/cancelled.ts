import { SpokeError } from '../../errors.ts';

/** Throws CANCELLED, or the SpokeError that was the reason. */
export function throwIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw cancellation(signal);
}

/** What `work` throws; but once the signal is aborted that it was, whatever came of it. */
export async function cancellable<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    throwIfCancelled(signal);
    return await work();
  } catch (thrown) {
    throw signal.aborted ? cancellation(signal) : thrown;
  }
}

function cancellation({ reason }: AbortSignal): SpokeError {
  return reason instanceof SpokeError ? reason : new SpokeError('CANCELLED', 'The run was cancelled.', { cause: reason });
}
