import { SpokeError } from '../../errors.ts';

/** Runs `action`; what node:fs throws comes out as DISK_FULL, REFUSED_PRECONDITION or FILE_SYSTEM_FAILED. */
export async function translating<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (thrown) {
    if (thrown instanceof SpokeError) throw thrown;
    const errno = errnoOf(thrown);
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    const code =
      errno === 'ENOSPC' || errno === 'EDQUOT'
        ? 'DISK_FULL'
        : errno === 'EACCES' || errno === 'EPERM'
          ? 'REFUSED_PRECONDITION'
          : 'FILE_SYSTEM_FAILED';
    throw new SpokeError(code, `Cannot ${what}: ${reason}`, { details: { errno }, cause: thrown });
  }
}

export function errnoOf(thrown: unknown): string | undefined {
  const code: unknown = thrown instanceof Error ? Reflect.get(thrown, 'code') : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** The value, or undefined where the file is not there (any more). */
export async function ifPresent<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
