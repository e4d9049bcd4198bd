import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { untilAborted } from '../../../../src/domain/blob/until-aborted.ts';

/** Numbers, and whether somebody let go of it. */
function numbers(count: number, then: () => Promise<unknown> = () => Promise.resolve()) {
  const state = { isLetGo: false };
  async function* source() {
    try {
      for (let number = 0; number < count; number += 1) yield await Promise.resolve(number);
      await then();
    } finally {
      state.isLetGo = true;
    }
  }
  return { state, source: source() };
}

async function taken(source: AsyncIterable<number>): Promise<number[]> {
  const found: number[] = [];
  for await (const number of source) found.push(number);
  return found;
}

describe('a source that is read until a signal', () => {
  it('gives everything where nobody aborts, and leaves nothing behind in the signal', async () => {
    const { signal } = new AbortController();
    expect(await taken(untilAborted(numbers(100).source, signal))).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('ends at once with the reason also where the source never answers', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const reading = taken(untilAborted(numbers(3, () => new Promise(() => undefined)).source, controller.signal));
    setImmediate(() => {
      controller.abort(reason);
    });
    await expect(reading).rejects.toBe(reason);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  it('is not begun where the signal is aborted already', async () => {
    const { source, state } = numbers(3);
    await expect(taken(untilAborted(source, AbortSignal.abort(new Error('before'))))).rejects.toThrow('before');
    expect(state.isLetGo).toBe(false);
  });

  it('throws what the source throws, and lets go of it where the reader has enough', async () => {
    const { signal } = new AbortController();
    await expect(taken(untilAborted(numbers(1, () => Promise.reject(new Error('cut'))).source, signal))).rejects.toThrow('cut');
    const { source, state } = numbers(3);
    for await (const number of untilAborted(source, signal)) if (number === 1) break;
    expect(state.isLetGo).toBe(true);
  });
});
