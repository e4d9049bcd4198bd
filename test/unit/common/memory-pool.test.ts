import { describe, expect, it } from 'vitest';
import { createMemoryPool } from '../../../src/adapters/common/memory-pool.ts';

const MEBIBYTE = 1024 * 1024;

describe('a memory pool', () => {
  it('hands out what was given back, for pieces of about the same length', () => {
    const pool = createMemoryPool();
    const first = pool.take(15 * MEBIBYTE);
    pool.give(first);
    const second = pool.take(16 * MEBIBYTE);
    expect(second.buffer).toBe(first.buffer);
    expect([first.length, second.length]).toEqual([15 * MEBIBYTE, 16 * MEBIBYTE]);
  });

  it('never hands out what somebody has', () => {
    const pool = createMemoryPool();
    const taken = Array.from({ length: 6 }, () => pool.take(MEBIBYTE));
    expect(new Set(taken.map(({ buffer }) => buffer)).size).toBe(6);
  });

  it('keeps four pieces at most, the last ones', () => {
    const pool = createMemoryPool();
    const taken = Array.from({ length: 6 }, () => pool.take(MEBIBYTE));
    for (const one of taken) pool.give(one);
    const again = Array.from({ length: 6 }, () => pool.take(MEBIBYTE));
    expect(again.filter(({ buffer }) => taken.some((one) => one.buffer === buffer))).toHaveLength(4);
  });

  it('has something for a piece of no length', () => {
    expect(createMemoryPool().take(0)).toHaveLength(0);
  });
});
