import type { RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { type NativeParts, storeOf } from '../parts.ts';
import { reading } from '../transform.ts';

/**
 * An object as it was before it was stored, whatever it was made smaller and encrypted by: `key` without the ends that say so. Undefined
 * where there is none. Throws REPOSITORY_*, and what reading() throws.
 */
export async function readPlain(
  parts: NativeParts,
  repository: RepositoryName,
  key: string,
  context: OperationContext,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const store = await storeOf(parts, repository);
  const found = (await store.list(key, context.signal)).find((object) =>
    /^(?:\.(?:zst|lz4))?(?:\.age)?$/.test(object.key.slice(key.length)),
  );
  const stored = found === undefined ? undefined : await store.openRead(found.key, context.signal);
  return found === undefined || stored === undefined ? undefined : reading(parts, found.key, stored, context);
}
