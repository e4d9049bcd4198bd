import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPipe } from '../../../src/adapters/native/backup/read-pipe.ts';

const MEBIBYTE = 1024 * 1024;
const never = new AbortController().signal;

describe('a named pipe', () => {
  let directory: string;
  let path: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'spoke-pipe-'));
    path = join(directory, 'pipe');
    execFileSync('mkfifo', [path]);
  });
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  it('gives every byte in order, also to one who is slow', async () => {
    const bytes = pseudoRandom(8 * MEBIBYTE + 12_345);
    const written = writeFile(path, bytes);
    const hash = createHash('sha256');
    let count = 0;
    for await (const chunk of readPipe(path, never)) {
      // Whatever comes meanwhile must not go where this chunk lies.
      await setTimeout(2);
      hash.update(chunk);
      count += chunk.length;
    }
    await written;
    expect(count).toBe(bytes.length);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  it('waits for a writer, however late he comes', async () => {
    const reading = collect(readPipe(path, never));
    await setTimeout(50);
    writeFileSync(path, 'late');
    expect(await reading).toBe('late');
  });

  it('ends empty where a writer came and wrote nothing', async () => {
    const reading = collect(readPipe(path, never));
    await setTimeout(20);
    closeSync(openSync(path, 'w'));
    expect(await reading).toBe('');
  });

  it('is no more than a chunk ahead of its reader', async () => {
    let taken = 0;
    const writing = writeSlowly(path, 64 * MEBIBYTE, (count) => (taken = count));
    const chunks = readPipe(path, never);
    await chunks.next();
    await setTimeout(200);
    expect(taken).toBeLessThan(4 * MEBIBYTE);
    await chunks.return(undefined);
    // Nobody reads it any more.
    await expect(writing).rejects.toThrow('EPIPE');
  });

  it('ends with the reason of its signal while it waits', async () => {
    const stop = new AbortController();
    const reading = collect(readPipe(path, stop.signal));
    await setTimeout(20);
    stop.abort(new Error('given up'));
    await expect(reading).rejects.toThrow('given up');
  });

  it('says so where there is none', async () => {
    await expect(collect(readPipe(join(directory, 'other'), never))).rejects.toThrow('ENOENT');
  });
});

async function collect(source: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  for await (const chunk of source) text += Buffer.from(chunk).toString();
  return text;
}

/** xorshift: no two pages alike, the same each time. */
function pseudoRandom(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 2463534242;
  for (let offset = 0; offset + 4 <= length; offset += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state | 0, offset);
  }
  return bytes;
}

async function writeSlowly(path: string, total: number, told: (written: number) => void): Promise<void> {
  const handle = await open(path, 'w');
  const piece = Buffer.alloc(64 * 1024);
  try {
    for (let written = 0; written < total; ) {
      written += (await handle.write(piece)).bytesWritten;
      told(written);
    }
  } finally {
    await handle.close();
  }
}
