import type { Instant } from '../domain/time/instant.ts';

/** An object as a listing has it. */
export interface BlobInfo {
  /** Path below the store's root, parts joined by `/`. */
  readonly key: string;
  readonly sizeBytes: number;
  /** By the store's clock. */
  readonly modifiedAt: Instant;
}

/**
 * The objects of one repository, below a root of its own: a directory, or a prefix in a bucket. Listings are whole or fail; what was not
 * listed is unknown, never missing. Every method throws REPOSITORY_UNAVAILABLE, REPOSITORY_DENIED or CANCELLED, and RangeError for what is no
 * key: the parts of a key are letters, digits and `._+=@,~-`, and begin with no dot.
 */
export interface BlobReader {
  /** For people: where the root is. */
  readonly place: string;
  /** Everything whose key begins with `prefix`, in the order of the keys. What is only half written is not there. */
  list(prefix: string, signal: AbortSignal): Promise<readonly BlobInfo[]>;
  /** The names of what lies right below `prefix` (which ends with `/`, or is empty) and has something below itself, sorted. */
  listFolders(prefix: string, signal: AbortSignal): Promise<readonly string[]>;
  /** A whole object; for small ones. undefined where there is none. */
  read(key: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /**
   * An object as it comes; undefined where there is none. Cut connections are mended by reading on from where they were cut. Ends by itself
   * only when every byte has come, else it throws.
   */
  openRead(key: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>;
}

export interface BlobWriter {
  /** Durable, and visible as a whole, when it resolves; nobody ever sees a part of it. Replaces what is there. Throws DISK_FULL, too. */
  write(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  /**
   * The same, but replaces nothing: false where something is there, or where another writer of the same key is at it, and perhaps where an
   * earlier try of this very call was done and its answer lost. A server that cannot do that (it says so, or overwrites) is not safe from
   * two that write at the same moment; one that does not know the condition is written to without it. Throws DISK_FULL, too.
   */
  writeNew(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<boolean>;
  /**
   * The same of something of any length that is never held in memory. Where the source throws or the signal is aborted nothing becomes
   * visible and what was begun is removed as far as it can be.
   */
  writeStream(key: string, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  /**
   * Idempotent. The first is durably gone before any other goes: let it be what a reader looks at first. The others go in about the order
   * given, some at a time; throws where one cannot be removed, and then some of those after it may be gone.
   */
  delete(keys: readonly string[], signal: AbortSignal): Promise<void>;
  /**
   * Removes what was begun before an instant and never finished by anybody, such as half-written files and uploads in parts: nobody sees
   * it, but it takes space. Returns how many there were.
   */
  removeUnfinished(before: Instant, signal: AbortSignal): Promise<number>;
}

export interface BlobStore extends BlobReader, BlobWriter {
  /** What is free for it; undefined where there is no limit that one could ask for. */
  freeBytes(signal: AbortSignal): Promise<bigint | undefined>;
  close(): void;
}
