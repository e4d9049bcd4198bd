import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ArchivedSegment,
  nextArchivedSegment,
  rangeContaining,
  walRangesOf,
  type WalArchive,
} from '../../../../src/domain/catalog/wal-archive.ts';
import { timelineIdOf } from '../../../../src/domain/postgres/timeline.ts';
import { instantOfSeconds } from '../../../../src/domain/time/instant.ts';

const tli = timelineIdOf;
const segments = fc.array(
  fc.record({ timeline: fc.integer({ min: 1, max: 3 }).map(tli), segmentNumber: fc.bigInt({ min: 0n, max: 30n }) }),
  { maxLength: 60 },
);

function archiveOf(list: readonly ArchivedSegment[]): WalArchive {
  return { segmentSizeBytes: 16 * 1024 * 1024, ranges: walRangesOf(list), histories: [] };
}

describe('WAL ranges', () => {
  it('join neighbours of one timeline and break at holes and timelines', () => {
    const at = (seconds: number) => instantOfSeconds(seconds);
    const list = [
      { timeline: tli(1), segmentNumber: 3n, archivedAt: at(30) },
      { timeline: tli(1), segmentNumber: 4n, archivedAt: at(40) },
      { timeline: tli(1), segmentNumber: 6n, archivedAt: at(60) },
      { timeline: tli(2), segmentNumber: 7n },
    ];
    expect(walRangesOf(list)).toEqual([
      { timeline: 1, firstSegment: 3n, lastSegment: 4n, lastArchivedAt: at(40) },
      { timeline: 1, firstSegment: 6n, lastSegment: 6n, lastArchivedAt: at(60) },
      { timeline: 2, firstSegment: 7n, lastSegment: 7n },
    ]);
  });

  it('hold exactly the segments that they were made of, in any order and however often each was listed', () => {
    fc.assert(
      fc.property(segments, (list) => {
        const ranges = walRangesOf(list);
        const held = ranges.flatMap((range) => {
          const count = Number(range.lastSegment - range.firstSegment) + 1;
          return Array.from({ length: count }, (_, index) => `${range.timeline}/${range.firstSegment + BigInt(index)}`);
        });
        expect(new Set(held)).toEqual(new Set(list.map((one) => `${one.timeline}/${one.segmentNumber}`)));
        expect(held.length).toBe(new Set(held).size);
        for (const [index, range] of ranges.slice(1).entries()) {
          const previous = ranges[index];
          if (previous?.timeline === range.timeline) expect(range.firstSegment > previous.lastSegment + 1n).toBe(true);
          else expect((previous?.timeline ?? 0) < range.timeline).toBe(true);
        }
      }),
    );
  });

  it('take the time of the last segment, the later one where it was listed twice', () => {
    const twice = [
      { timeline: tli(1), segmentNumber: 3n, archivedAt: instantOfSeconds(40) },
      { timeline: tli(1), segmentNumber: 3n, archivedAt: instantOfSeconds(30) },
    ];
    expect(walRangesOf(twice)[0]?.lastArchivedAt).toBe(instantOfSeconds(40));
  });

  it('are made of a million segments in seconds, also where the listing is not in order', () => {
    const million = Array.from({ length: 1_000_000 }, (_, index) => ({ timeline: tli(1), segmentNumber: BigInt(index) }));
    const started = performance.now();
    expect(walRangesOf(million)).toHaveLength(1);
    expect(walRangesOf(million.reverse())).toHaveLength(1);
    expect(performance.now() - started).toBeLessThan(8000);
  });

  it('tell whether a segment is there, and which is the next that is', () => {
    fc.assert(
      fc.property(segments, fc.integer({ min: 1, max: 4 }).map(tli), fc.bigInt({ min: 0n, max: 31n }), (list, timeline, number) => {
        const archive = archiveOf(list);
        const own = list.filter((one) => one.timeline === timeline).map((one) => one.segmentNumber);
        expect(rangeContaining(archive, timeline, number) !== undefined).toBe(own.includes(number));
        const later = own.filter((one) => one >= number).sort((left, right) => Number(left - right));
        expect(nextArchivedSegment(archive, timeline, number)).toBe(later[0]);
      }),
    );
  });
});
