import { SpokeError } from '../../errors.ts';
import { type FileErrorWords, translateFileError } from '../common/file-error.ts';

const WORDS: FileErrorWords = {
  denied: { code: 'REPOSITORY_DENIED', hint: 'Run this as the owner of the repository, or as root.' },
  failed: { code: 'REPOSITORY_UNAVAILABLE', hint: 'Check the disk or mount of the repository (dmesg), or use another --repo.' },
};

/**
 * Runs `action` in a repository. What node:fs throws comes out as DISK_FULL, REPOSITORY_DENIED or REPOSITORY_UNAVAILABLE; anything, once the
 * signal is aborted, as its reason or CANCELLED.
 */
export async function guarded<T>(what: string, signal: AbortSignal, action: () => Promise<T>): Promise<T> {
  try {
    signal.throwIfAborted();
    return await action();
  } catch (thrown) {
    throw signal.aborted ? cancellation(signal) : translateFileError(thrown, what, WORDS);
  }
}

function cancellation(signal: AbortSignal): SpokeError {
  if (signal.reason instanceof SpokeError) return signal.reason;
  return new SpokeError('CANCELLED', 'Work on the repository was cancelled.', { cause: signal.reason });
}
