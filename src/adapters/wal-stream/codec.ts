import type { OperationContext } from '../../ports/operation.ts';

type Bytes = AsyncIterable<Uint8Array>;

/** How segments of a tail are stored. */
export interface TailCodec {
  /** What is appended to the name of what is stored so: `.zst`, or `.zst.age`. */
  readonly suffix: string;
  store(content: Bytes, context: OperationContext): Bytes;
  /** By the name that it was stored under. Throws BACKUP_DAMAGED, SECRET_UNAVAILABLE. */
  read(storedName: string, stored: Bytes, context: OperationContext): Bytes;
}
