import { type ErrorCode, SpokeError } from '../../errors.ts';

/** What an adapter makes of errors of node:fs that are not about space. */
export interface FileErrorWords {
  /** EACCES, EPERM, EROFS. */
  readonly denied: { readonly code: ErrorCode; readonly hint?: string };
  /** Everything else. */
  readonly failed: { readonly code: ErrorCode; readonly hint?: string };
}

/** The errno name of what node:fs threw, for example `ENOENT`. */
export function errnoOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const code: unknown = Reflect.get(thrown, 'code');
  return typeof code === 'string' ? code : undefined;
}

/** What node:fs threw while we tried to do `what`, in our words: DISK_FULL, or those given. What is not of its making is left as it is. */
export function translateFileError(thrown: unknown, what: string, { denied, failed }: FileErrorWords): unknown {
  const errno = errnoOf(thrown);
  if (thrown instanceof SpokeError || !(thrown instanceof Error) || !/^E[A-Z0-9]+$/.test(errno ?? '')) return thrown;
  const options = { details: { errno }, cause: thrown };
  const withHint = (hint: string | undefined) => (hint === undefined ? options : { ...options, hint });
  if (errno === 'ENOSPC' || errno === 'EDQUOT')
    return new SpokeError('DISK_FULL', `Cannot ${what}: no space left (${thrown.message})`, options);
  if (errno === 'EACCES' || errno === 'EPERM' || errno === 'EROFS')
    return new SpokeError(denied.code, `Cannot ${what}: not permitted (${thrown.message})`, withHint(denied.hint));
  return new SpokeError(failed.code, `Cannot ${what}: ${thrown.message}`, withHint(failed.hint));
}

/** Makes what runs an action and translates what node:fs throws; REFUSED_PRECONDITION with that hint where it is not permitted. */
export function translatorWith(hint: string | undefined): <T>(what: string, action: () => Promise<T>) => Promise<T> {
  const denied = { code: 'REFUSED_PRECONDITION' as const, ...(hint === undefined ? {} : { hint }) };
  const words: FileErrorWords = { denied, failed: { code: 'FILE_SYSTEM_FAILED' } };
  return async (what, action) => {
    try {
      return await action();
    } catch (thrown) {
      throw translateFileError(thrown, what, words);
    }
  };
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
