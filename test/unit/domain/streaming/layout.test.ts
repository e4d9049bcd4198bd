import { describe, expect, it } from 'vitest';
import { parseTailKey, tailKey } from '../../../../src/domain/streaming/layout.ts';

const SEGMENT = '00000002000000000000002A';

describe('the key of a streamed segment', () => {
  it.each([true, false])('tells what it is of, and that it is whole: %s', (isWhole) => {
    expect(parseTailKey(tailKey(SEGMENT, isWhole, '.zst.age'))).toEqual({ segment: SEGMENT, timeline: 2, isWhole });
  });

  it.each([
    'tail/00000002/tail.json',
    `tail/00000001/${SEGMENT}.zst`,
    `tail/00000002/${SEGMENT}`,
    `tail/00000000/00000000000000000000002A.zst`,
    `wal/00000002/${SEGMENT}.zst`,
  ])('is not %s', (key) => {
    expect(parseTailKey(key)).toBeUndefined();
  });
});
