import { SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { reading, type TransformParts } from '../transform.ts';

type Source = () => AsyncIterable<Uint8Array>;

/**
 * Whether two stored files are the same: byte for byte, or, where they could be compressed anew, in what they hold. What was encrypted twice
 * differs, and whether it is the same is only told by who has the key. Throws BACKUP_DAMAGED where one of them cannot be read.
 */
export async function isSameContent(
  parts: TransformParts,
  stored: string,
  [left, right]: readonly [Source, Source],
  context: OperationContext,
): Promise<boolean> {
  if (await areEqual(left(), right())) return true;
  if (stored.endsWith('.age') && parts.settings.encryption?.identityFile === undefined) return false;
  return areEqual(reading(parts, stored, left(), context), reading(parts, stored, right(), context));
}

/** Whether two streams hold the same bytes, however they are cut. Reads no further than the first difference. */
export async function areEqual(left: AsyncIterable<Uint8Array>, right: AsyncIterable<Uint8Array>): Promise<boolean> {
  const others = right[Symbol.asyncIterator]();
  let other: Uint8Array = new Uint8Array();
  try {
    for await (const piece of left) {
      for (let rest = piece; rest.length > 0; ) {
        if (other.length === 0) {
          const next = await others.next();
          if (next.done === true) return false;
          other = next.value;
          continue;
        }
        const length = Math.min(rest.length, other.length);
        if (Buffer.compare(rest.subarray(0, length), other.subarray(0, length)) !== 0) return false;
        [rest, other] = [rest.subarray(length), other.subarray(length)];
      }
    }
    while (other.length === 0) {
      const next = await others.next();
      if (next.done === true) return true;
      other = next.value;
    }
    return false;
  } finally {
    await others.return?.();
  }
}

/** For what a comparison threw: what is damaged is not the same. Throws everything else. */
export function notSameWhereDamaged(thrown: unknown): false {
  if (thrown instanceof SpokeError && thrown.code === 'BACKUP_DAMAGED') return false;
  throw thrown;
}
