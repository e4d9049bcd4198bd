import { createHash } from 'node:crypto';
import { SpokeError } from '../../../errors.ts';
import type { BlobReader } from '../../../ports/blob-store.ts';

export interface CheckedObject {
  readonly key: string;
  /** In hexadecimal; undefined: SHA256SUMS does not name it. */
  readonly sha256: string | undefined;
  /** Called with the length of each piece. */
  readonly onBytes?: (count: number) => void;
}

/**
 * An object as it is stored, piece by piece. Ends only where all of it has the checksum that SHA256SUMS gives it: who reads to the end has read
 * what was written. Throws BACKUP_DAMAGED, and what the store throws.
 */
export async function* readChecked(
  store: BlobReader,
  { key, sha256, onBytes }: CheckedObject,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (sha256 === undefined) throw damage(key, 'SHA256SUMS does not name it');
  const source = await store.openRead(key, signal);
  if (source === undefined) throw damage(key, 'it is missing');
  const hash = createHash('sha256');
  for await (const piece of source) {
    hash.update(piece);
    onBytes?.(piece.length);
    yield piece;
  }
  if (hash.digest('hex') !== sha256) throw damage(key, 'its bytes are not those of its SHA-256 in SHA256SUMS');

  function damage(object: string, why: string): SpokeError {
    return new SpokeError('BACKUP_DAMAGED', `${object} in ${store.place} is damaged: ${why}`, { details: { object } });
  }
}
