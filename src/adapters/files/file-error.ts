import { SpokeError } from '../../errors.ts';

/** The errno name of what node:fs threw, for example `ENOENT`. */
export function errnoOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const code: unknown = Reflect.get(thrown, 'code');
  return typeof code === 'string' ? code : undefined;
}

/**
 * Runs `action` in a repository. What node:fs throws comes out as DISK_FULL, REPOSITORY_DENIED or REPOSITORY_UNAVAILABLE; anything, once the
 * signal is aborted, as its reason or CANCELLED.
 */
export async function guarded<T>(what: string, signal: AbortSignal, action: () => Promise<T>): Promise<T> {
  try {
    signal.throwIfAborted();
    return await action();
  } catch (thrown) {
    throw signal.aborted ? cancellation(signal) : translated(thrown, what);
  }
}

function cancellation(signal: AbortSignal): SpokeError {
  if (signal.reason instanceof SpokeError) return signal.reason;
  return new SpokeError('CANCELLED', 'Work on the repository was cancelled.', { cause: signal.reason });
}

/** What is not of the file system's making is left as it is. */
function translated(thrown: unknown, what: string): unknown {
  const errno = errnoOf(thrown);
  if (thrown instanceof SpokeError || !(thrown instanceof Error) || !/^E[A-Z0-9]+$/.test(errno ?? '')) return thrown;
  const options = { details: { errno }, cause: thrown };
  if (errno === 'ENOSPC' || errno === 'EDQUOT')
    return new SpokeError('DISK_FULL', `Cannot ${what}: no space left (${thrown.message})`, options);
  if (errno === 'EACCES' || errno === 'EPERM' || errno === 'EROFS')
    return new SpokeError('REPOSITORY_DENIED', `Cannot ${what}: not permitted (${thrown.message})`, {
      ...options,
      hint: 'Run this as the owner of the repository, or as root.',
    });
  return new SpokeError('REPOSITORY_UNAVAILABLE', `Cannot ${what}: ${thrown.message}`, {
    ...options,
    hint: 'Check the disk or mount of the repository (dmesg), or use another --repo.',
  });
}

/** The value, or undefined where the file or directory is not there. */
export async function ifPresent<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    throw thrown;
  }
}
