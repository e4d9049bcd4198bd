import { describe, expect, it } from 'vitest';
import { formatSeedMark, parseSeedMark, type SeedMark } from '../../../../src/domain/topology/seed-mark.ts';

describe('the mark of a reseed', () => {
  it.each<SeedMark>([
    { runId: 'a-run', phase: 'reserved' },
    { runId: 'a-run', phase: 'seeding', method: 'rewind', dataIdentity: '8:12' },
  ])('is read as it was written: $phase', (mark) => {
    expect(parseSeedMark(formatSeedMark(mark))).toEqual(mark);
  });

  it.each(['', '{', 'null', '{"runId":"a-run"}', '{"runId":"a-run","phase":"begun"}', '{"phase":"seeded"}'])(
    'is nothing else: %s',
    (text) => {
      expect(parseSeedMark(text)).toBeUndefined();
    },
  );
});
