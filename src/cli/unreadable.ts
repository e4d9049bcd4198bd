import type { UnreadableRepository } from '../domain/catalog/repository-snapshot.ts';
import { SpokeError } from '../errors.ts';

/** The error where not one repository could be read. */
export function unreadableError(unreadable: readonly UnreadableRepository[]): SpokeError {
  const denied = unreadable.every((one) => one.errorCode === 'REPOSITORY_DENIED');
  const message = unreadable.map((one) => `repository ${one.repository}: ${one.message}`).join('; ');
  return new SpokeError(denied ? 'REPOSITORY_DENIED' : 'REPOSITORY_UNAVAILABLE', message, { details: { repositories: unreadable } });
}
