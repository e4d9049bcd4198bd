import { SpokeError } from '../../errors.ts';

/** Runs `action`; what node:fs throws comes out as DISK_FULL, REFUSED_PRECONDITION or FILE_SYSTEM_FAILED. */
export async function translating<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (thrown) {
    throw translated(thrown, what);
  }
}

function translated(thrown: unknown, what: string): unknown {
  const errno: unknown = thrown instanceof Error ? Reflect.get(thrown, 'code') : undefined;
  if (thrown instanceof SpokeError || !(thrown instanceof Error) || typeof errno !== 'string') return thrown;
  const options = { details: { errno }, cause: thrown };
  if (errno === 'ENOSPC' || errno === 'EDQUOT')
    return new SpokeError('DISK_FULL', `Cannot ${what}: no space left (${thrown.message})`, options);
  if (errno === 'EACCES' || errno === 'EPERM' || errno === 'EROFS')
    return new SpokeError('REFUSED_PRECONDITION', `Cannot ${what}: not permitted (${thrown.message})`, {
      ...options,
      hint: 'Run this as root, or let the owner of the data directory write there.',
    });
  return new SpokeError('FILE_SYSTEM_FAILED', `Cannot ${what}: ${thrown.message}`, options);
}
