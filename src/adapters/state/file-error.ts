import { SpokeError } from '../../errors.ts';

/** The errno name of what node:fs threw, for example `ENOENT`. */
export function errnoOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const code: unknown = Reflect.get(thrown, 'code');
  return typeof code === 'string' ? code : undefined;
}

/** Runs `action` in the state directory; whatever node:fs throws comes out as DISK_FULL, REFUSED_PRECONDITION or FILE_SYSTEM_FAILED. */
export async function translating<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (thrown) {
    throw translateFileError(thrown, what);
  }
}

function translateFileError(thrown: unknown, what: string): SpokeError {
  if (thrown instanceof SpokeError) return thrown;
  const errno = errnoOf(thrown);
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  const options = { details: { errno }, cause: thrown };
  if (errno === 'ENOSPC' || errno === 'EDQUOT') return new SpokeError('DISK_FULL', `Cannot ${what}: no space left (${reason})`, options);
  if (errno === 'EACCES' || errno === 'EPERM' || errno === 'EROFS')
    return new SpokeError('REFUSED_PRECONDITION', `Cannot ${what}: not permitted (${reason})`, {
      ...options,
      hint: 'Run this as the user that owns the state directory, or name another stateDirectory in the configuration.',
    });
  return new SpokeError('FILE_SYSTEM_FAILED', `Cannot ${what}: ${reason}`, options);
}
