import type { BlobReader } from '../../ports/blob-store.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { NativeParts } from './parts.ts';
import { reading } from './transform.ts';

/** A small object as it was before it was compressed and encrypted; undefined where there is none. Throws BACKUP_DAMAGED, SECRET_UNAVAILABLE. */
export async function readStored(
  parts: NativeParts,
  store: BlobReader,
  key: string,
  context: OperationContext,
): Promise<Uint8Array | undefined> {
  const stored = await store.read(key, context.signal);
  if (stored === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of reading(parts, key, only(stored), context)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}
