const SMALLEST_BYTES = 1024 * 1024;
const FREE_AT_MOST = 4;

/**
 * Memory for large pieces that come one after the other. Left to the garbage collector, which sees how little an object is and not how much
 * hangs on it, there would be several times as much of it as is in use.
 */
export interface MemoryPool {
  /** So many bytes, with anything in them. */
  take(length: number): Uint8Array;
  /** What was taken: nobody reads it any more. */
  give(bytes: Uint8Array): void;
}

export function createMemoryPool(): MemoryPool {
  let free: ArrayBufferLike[] = [];
  return {
    take(length) {
      const needed = roundedUp(length);
      const found = free.find(({ byteLength }) => byteLength === needed);
      free = free.filter((one) => one !== found);
      return Buffer.from(found ?? Buffer.allocUnsafeSlow(needed).buffer, 0, length);
    },
    give({ buffer }) {
      // Of other lengths there will hardly be any more: parts grow, and segments are all alike.
      free = [buffer, ...free].slice(0, FREE_AT_MOST);
    },
  };
}

/** To a power of two: pieces of about the same length fit in the same memory. */
function roundedUp(length: number): number {
  return Math.max(SMALLEST_BYTES, 2 ** Math.ceil(Math.log2(Math.max(length, 1))));
}
