import { SpokeError } from '../../../errors.ts';

/** An object whose content is not what was written. `doing`: what cannot be done with it, for example `decompressed`. */
export function damaged(name: string, doing: string, why: string, cause?: unknown): SpokeError {
  return new SpokeError('BACKUP_DAMAGED', `${name} cannot be ${doing}: ${why}.`, { details: { object: name }, cause });
}
