import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { areEqual } from '../../../src/adapters/native/wal/same-content.ts';
import { chooseNextFiles } from '../../../src/domain/native/shipping-order.ts';

const names = (count: number) => Array.from({ length: count }, (_, index) => String(index).padStart(6, '0'));

describe('the next files of a backlog', () => {
  it('are the oldest first, with the newest among them', () => {
    expect(chooseNextFiles(names(100), 8)).toEqual(['000000', '000001', '000002', '000099', '000003', '000004', '000005', '000098']);
  });

  it('are all of them, each once, where they are few', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(300), (count, most) => {
        const chosen = chooseNextFiles(names(count), most);
        expect(chosen.length).toBe(Math.min(count, most));
        expect(new Set(chosen).size).toBe(chosen.length);
        if (most >= count) expect(chosen.toSorted()).toEqual(names(count));
      }),
    );
  });
});

describe('two streams', () => {
  async function* cut(bytes: Uint8Array, lengths: readonly number[]): AsyncGenerator<Uint8Array> {
    let offset = 0;
    for (const length of lengths) {
      yield bytes.subarray(offset, offset + length);
      offset += length;
      await Promise.resolve();
    }
    yield bytes.subarray(offset);
  }

  const lengths = fc.array(fc.nat(9), { maxLength: 9 });

  it('are equal where their bytes are, however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 40 }),
        fc.uint8Array({ maxLength: 40 }),
        lengths,
        lengths,
        async (left, right, these, those) => {
          expect(await areEqual(cut(left, these), cut(left, those))).toBe(true);
          expect(await areEqual(cut(left, these), cut(right, those))).toBe(Buffer.compare(left, right) === 0);
        },
      ),
    );
  });
});
