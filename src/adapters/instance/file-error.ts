import { SpokeError } from '../../errors.ts';

/** The errno name of what node:fs threw, for example `ENOENT`. */
export function errnoOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const code: unknown = Reflect.get(thrown, 'code');
  return typeof code === 'string' ? code : undefined;
}

/** What node:fs threw while we tried to do `what`, in our words. */
function translateFileError(thrown: unknown, what: string): SpokeError {
  if (thrown instanceof SpokeError) return thrown;
  const errno = errnoOf(thrown);
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  const options = { details: { errno }, cause: thrown };
  switch (errno) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new SpokeError('DISK_FULL', `Cannot ${what}: no space left (${reason})`, options);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new SpokeError('REFUSED_PRECONDITION', `Cannot ${what}: not permitted (${reason})`, {
        ...options,
        hint: 'Run this as the owner of that directory, or as root.',
      });
    default:
      return new SpokeError('FILE_SYSTEM_FAILED', `Cannot ${what}: ${reason}`, options);
  }
}

/** Runs `action`; whatever node:fs throws comes out translated. */
export async function translating<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (thrown) {
    throw translateFileError(thrown, what);
  }
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

/** The value, or undefined where it cannot be read for whatever reason: for hints that may be missing. */
export async function ifReadable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch {
    return undefined;
  }
}
