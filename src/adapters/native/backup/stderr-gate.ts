import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';

const BLOCK = Buffer.alloc(4096, '\n');

/**
 * A FIFO that a program has as its stderr. Full, it stops the program at its first word, which is how one is held at a known place. A pipe of
 * the runner cannot do that: it takes what comes.
 */
export interface StderrGate {
  /**
   * Lets out what is stopped in it, and fills it again. `passed`: the program wrote something while it was not full, and may be anywhere by now;
   * from then on it is only read.
   */
  probe(): { readonly text: string; readonly passed: boolean };
  /** Reads what is there; nothing stops the program any more, as long as this is called now and then. */
  read(): string;
  close(): void;
}

/** `path`: a FIFO that nobody has open. */
export function closeGate(path: string): StderrGate {
  // Open for both, so that there is always somebody at the other end: opening never waits and the end never comes.
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const capacityBytes = fill(fd);
  const decoder = new StringDecoder('utf8');
  let fillerBytes = capacityBytes;
  const read = () => {
    const bytes = readAll(fd);
    const text = decoder.write(bytes.subarray(Math.min(fillerBytes, bytes.length)));
    fillerBytes = Math.max(0, fillerBytes - bytes.length);
    return text;
  };
  let passed = false;
  return {
    read,
    probe() {
      const text = read();
      if (passed) return { text, passed };
      fillerBytes = fill(fd);
      passed = fillerBytes < capacityBytes;
      if (!passed) return { text, passed };
      // Filler among text: empty lines, which mean nothing, and so many that nobody would look for words before them.
      fillerBytes = 0;
      return { text: `${text}${read()}`.replaceAll(/\n{2,}/g, '\n'), passed };
    },
    close: () => closeSync(fd),
  };
}

function fill(fd: number): number {
  let written = 0;
  for (const block of [BLOCK, BLOCK.subarray(0, 1)]) {
    for (let count = write(fd, block); count > 0; count = write(fd, block)) written += count;
  }
  return written;
}

function write(fd: number, block: Buffer): number {
  try {
    return writeSync(fd, block);
  } catch (thrown) {
    if (isAgain(thrown)) return 0;
    throw thrown;
  }
}

function readAll(fd: number): Buffer {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.allocUnsafe(65_536);
    try {
      chunks.push(chunk.subarray(0, readSync(fd, chunk)));
    } catch (thrown) {
      if (isAgain(thrown)) return Buffer.concat(chunks);
      throw thrown;
    }
  }
}

function isAgain(thrown: unknown): boolean {
  return thrown instanceof Error && Reflect.get(thrown, 'code') === 'EAGAIN';
}
