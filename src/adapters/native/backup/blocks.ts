const BLOCK_BYTES = 1024 * 1024;
/** How far the slowest reader may be behind: it bounds the memory, and evens out that stores take bytes in bursts. */
const BLOCKS_AT_MOST = 8;

/** A piece of memory with bytes in it, which several read. */
export interface Block {
  bytes(): Uint8Array;
  /** To so many readers, each of whom gives it back once; to none: it is free again at once. */
  lend(readers: number): void;
  giveBack(): void;
}

/** The same few blocks again and again: left to the garbage collector, what passes through costs more time than being copied. */
export interface Blocks {
  /** `source`, cut anew: all blocks but the last are full. Each has to be lent; the next comes once there is one that nobody has. */
  of(source: AsyncIterable<Uint8Array>): AsyncGenerator<Block>;
}

export function createBlocks(): Blocks {
  const free: Buffer[] = [];
  let made = 0;
  let freed = Promise.withResolvers<void>();
  return {
    async *of(source) {
      let memory = await take();
      let filled = 0;
      for await (const chunk of source) {
        for (let offset = 0; offset < chunk.length; ) {
          const part = chunk.subarray(offset, offset + memory.length - filled);
          memory.set(part, filled);
          filled += part.length;
          offset += part.length;
          if (filled < memory.length) continue;
          yield blockOf(memory, filled);
          memory = await take();
          filled = 0;
        }
      }
      if (filled > 0) yield blockOf(memory, filled);
    },
  };

  async function take(): Promise<Buffer> {
    for (;;) {
      const memory = free.pop();
      if (memory !== undefined) return memory;
      if (made < BLOCKS_AT_MOST) {
        made += 1;
        return Buffer.allocUnsafeSlow(BLOCK_BYTES);
      }
      await freed.promise;
    }
  }

  function blockOf(memory: Buffer, filled: number): Block {
    const bytes = memory.subarray(0, filled);
    let readers = 0;
    const release = () => {
      free.push(memory);
      freed.resolve();
      freed = Promise.withResolvers();
    };
    return {
      bytes: () => bytes,
      lend(count) {
        readers = count;
        if (count === 0) release();
      },
      giveBack() {
        readers -= 1;
        if (readers === 0) release();
      },
    };
  }
}
