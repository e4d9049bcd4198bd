import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import { SpokeError } from '../../errors.ts';
import type { OperationContext } from '../../ports/operation.ts';

/** Looks into a repository for no longer than the context says, else than `mostMs`. Throws REPOSITORY_UNAVAILABLE after that. */
export async function withinTime<T>(
  repository: RepositoryName,
  context: OperationContext,
  mostMs: number,
  look: (context: OperationContext) => Promise<T>,
): Promise<T> {
  const timeoutMs = context.timeoutMs ?? mostMs;
  const ended = new AbortController();
  const late = new SpokeError('REPOSITORY_UNAVAILABLE', `repository ${repository} has not answered within ${timeoutMs / 1000} s`);
  const timer = setTimeout(() => ended.abort(late), timeoutMs);
  const end = () => ended.abort(context.signal.reason);
  context.signal.addEventListener('abort', end, { once: true });
  if (context.signal.aborted) end();
  try {
    return await look({ ...context, signal: ended.signal });
  } catch (thrown) {
    throw ended.signal.reason === late ? late : thrown;
  } finally {
    clearTimeout(timer);
    context.signal.removeEventListener('abort', end);
  }
}
