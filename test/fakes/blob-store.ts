import { blobKeyParts, blobPrefixParts, byKey } from '../../src/domain/blob/blob-key.ts';
import { untilAborted } from '../../src/domain/blob/until-aborted.ts';
import { type Instant, instantOfMillis } from '../../src/domain/time/instant.ts';
import { SpokeError } from '../../src/errors.ts';
import type { BlobStore } from '../../src/ports/blob-store.ts';

interface Blob {
  readonly bytes: Uint8Array;
  readonly modifiedAt: Instant;
}

/** A repository in memory. */
export class FakeBlobStore implements BlobStore {
  readonly place = 'memory';
  readonly blobs = new Map<string, Blob>();
  /** When what is half-written was begun, by its key. */
  readonly unfinished = new Map<string, Instant>();
  /** The keys that were written or removed, in that order: `+key`, `-key`. */
  readonly log: string[] = [];
  now: () => Instant = () => instantOfMillis(Date.now());
  /** Asked before each call: throws what the call shall throw. */
  fault: (call: string, key: string) => void = () => undefined;

  list(prefix: string, signal: AbortSignal) {
    return this.#answer('list', prefix, signal, () => {
      blobPrefixParts(prefix);
      const found = [...this.blobs].filter(([key]) => key.startsWith(prefix));
      return found.map(([key, { bytes, modifiedAt }]) => ({ key, sizeBytes: bytes.length, modifiedAt })).sort(byKey);
    });
  }

  listFolders(prefix: string, signal: AbortSignal) {
    return this.#answer('listFolders', prefix, signal, () => {
      if (blobPrefixParts(prefix).nameBegin !== '') throw new RangeError(prefix);
      const below = [...this.blobs.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length).split('/'));
      return [...new Set(below.flatMap((parts) => (parts.length > 1 ? [parts[0] ?? ''] : [])))].sort();
    });
  }

  read(key: string, signal: AbortSignal) {
    return this.#answer('read', key, signal, () => this.#bytes(key));
  }

  openRead(key: string, signal: AbortSignal) {
    return this.#answer('openRead', key, signal, () => {
      const bytes = this.#bytes(key);
      return bytes === undefined ? undefined : inPieces(bytes);
    });
  }

  write(key: string, bytes: Uint8Array, signal: AbortSignal) {
    return this.#answer('write', key, signal, () => {
      this.#put(key, bytes);
    });
  }

  writeNew(key: string, bytes: Uint8Array, signal: AbortSignal) {
    return this.#answer('writeNew', key, signal, () => {
      if (this.#bytes(key) !== undefined) return false;
      this.#put(key, bytes);
      return true;
    });
  }

  async writeStream(key: string, source: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    await this.#answer('writeStream', key, signal, () => blobKeyParts(key));
    const pieces: Uint8Array[] = [];
    try {
      for await (const piece of untilAborted(source, signal)) pieces.push(piece);
    } catch (thrown) {
      throw signal.aborted ? cancelled(signal) : thrown;
    }
    this.#put(key, Buffer.concat(pieces));
  }

  delete(keys: readonly string[], signal: AbortSignal) {
    return this.#answer('delete', keys[0] ?? '', signal, () => {
      for (const key of keys) {
        blobKeyParts(key);
        if (this.blobs.delete(key)) this.log.push(`-${key}`);
      }
    });
  }

  removeUnfinished(before: Instant, signal: AbortSignal) {
    return this.#answer('removeUnfinished', '', signal, () => {
      const old = [...this.unfinished].filter(([, begun]) => begun < before);
      for (const [key] of old) this.unfinished.delete(key);
      return old.length;
    });
  }

  freeBytes(signal: AbortSignal) {
    return this.#answer('freeBytes', '', signal, () => undefined);
  }

  close(): void {
    // Nothing is open.
  }

  #bytes(key: string): Uint8Array | undefined {
    blobKeyParts(key);
    return this.blobs.get(key)?.bytes;
  }

  #put(key: string, bytes: Uint8Array): void {
    blobKeyParts(key);
    this.blobs.set(key, { bytes: Buffer.from(bytes), modifiedAt: this.now() });
    this.log.push(`+${key}`);
  }

  async #answer<T>(call: string, key: string, signal: AbortSignal, answer: () => T): Promise<T> {
    await Promise.resolve();
    if (signal.aborted) throw cancelled(signal);
    this.fault(call, key);
    return answer();
  }
}

/** Small ones, so that a reader meets the seam. */
async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let from = 0; from < bytes.length; from += 1000) {
    await Promise.resolve();
    yield bytes.subarray(from, from + 1000);
  }
}

function cancelled(signal: AbortSignal): SpokeError {
  return signal.reason instanceof SpokeError ? signal.reason : new SpokeError('CANCELLED', 'cancelled', { cause: signal.reason });
}
