import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { fanOut } from '../../../src/adapters/native/backup/fan-out.ts';

const MEBIBYTE = 1024 * 1024;

/** Keeps what it gets; fails before it has taken more than `failAfter` chunks. */
function branch(name: string, failAfter = Number.POSITIVE_INFINITY) {
  const got: number[] = [];
  let seen: unknown;
  return {
    name,
    got,
    fault: () => seen,
    async write(source: AsyncIterable<Uint8Array>) {
      try {
        for await (const chunk of source) {
          if (got.length >= failAfter) throw new Error(`${name} is full`);
          got.push(chunk[0] ?? 0);
        }
      } catch (thrown) {
        seen = thrown;
        throw thrown;
      }
    },
  };
}

async function* chunks(count: number, onYield: (index: number) => void = () => {}): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index += 1) {
    await setImmediate();
    onYield(index);
    yield new Uint8Array(MEBIBYTE).fill(index);
  }
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('one source into several branches', () => {
  it('gives each of them all of it in order', async () => {
    const [a, b] = [branch('a'), branch('b')];
    expect((await fanOut(chunks(20), [a, b])).size).toBe(0);
    expect([a.got, b.got]).toEqual([numbers(20), numbers(20)]);
  });

  it('goes on with the others where one fails, and tells which and why', async () => {
    const [a, b] = [branch('a', 3), branch('b')];
    const failures = await fanOut(chunks(20), [a, b]);
    expect([...failures].map(([name, error]) => [name, error.message])).toEqual([['a', 'a is full']]);
    expect(b.got).toEqual(numbers(20));
  });

  it('closes the source early where all have failed', async () => {
    let yielded = 0;
    const failures = await fanOut(
      chunks(1000, () => (yielded += 1)),
      [branch('a', 2), branch('b', 5)],
    );
    expect([...failures.keys()]).toEqual(['a', 'b']);
    expect(yielded).toBeLessThan(20);
  });

  it('lets no branch take what has come for the whole where the source fails', async () => {
    const [a, b] = [branch('a'), branch('b')];
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* chunks(3);
      throw new Error('the connection broke');
    }
    await expect(fanOut(broken(), [a, b])).rejects.toThrow('the connection broke');
    expect([a.fault(), b.fault()].map(String)).toEqual(['Error: the connection broke', 'Error: the connection broke']);
  });

  it('reads no faster than the slowest branch takes', async () => {
    const gate = Promise.withResolvers<void>();
    let yielded = 0;
    const slow = {
      name: 'slow',
      async write(source: AsyncIterable<Uint8Array>) {
        await gate.promise;
        for await (const _chunk of source);
      },
    };
    const running = fanOut(
      chunks(100, () => (yielded += 1)),
      [slow, branch('fast')],
    );
    for (let turn = 0; turn < 300; turn += 1) await setImmediate();
    expect(yielded).toBeLessThan(12);
    gate.resolve();
    expect((await running).size).toBe(0);
    expect(yielded).toBe(100);
  });
});
