import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { walRangesOf, type WalArchive } from '../../../../src/domain/catalog/wal-archive.ts';
import { lsnOf } from '../../../../src/domain/postgres/lsn.ts';
import { rootHistory, type TimelineHistory } from '../../../../src/domain/postgres/timeline-history.ts';
import { contiguousWalFrom, walPath } from '../../../../src/domain/recovery/timeline-path.ts';
import { at, history, lsnIn, replayByBruteForce, SEGMENT_SIZE_BYTES, segments, tli } from './world.ts';

const SIZE = BigInt(SEGMENT_SIZE_BYTES);

function archiveOf(...lists: ReturnType<typeof segments>[]): WalArchive {
  return { segmentSizeBytes: SEGMENT_SIZE_BYTES, ranges: walRangesOf(lists.flat()), histories: [] };
}

/** 1 forks to 2 in the middle of segment 5. */
const FORKED = history(2, `1\t0/${(5n * SIZE + 100n).toString(16).toUpperCase()}\tno recovery target specified\n`);

describe('WAL without a hole', () => {
  it('reaches to the end of the last segment', () => {
    expect(contiguousWalFrom(archiveOf(segments(2, 7)), rootHistory(tli(1)), lsnIn(3, 40))).toEqual({
      endLsn: lsnIn(8),
      endTimeline: 1,
      lastArchivedAt: at(80),
      segmentCount: 5,
    });
  });

  it('ends before a missing segment, and says what is missing', () => {
    const archive = archiveOf(segments(2, 4), segments(7, 9));
    expect(contiguousWalFrom(archive, rootHistory(tli(1)), lsnIn(2))).toEqual({
      endLsn: lsnIn(5),
      endTimeline: 1,
      lastArchivedAt: at(50),
      segmentCount: 3,
      gap: { firstMissing: '000000010000000000000005', lastMissing: '000000010000000000000006', resumesAt: '000000010000000000000007' },
    });
  });

  it('is nothing where the first segment is missing', () => {
    const archive = archiveOf(segments(7, 9));
    expect(contiguousWalFrom(archive, rootHistory(tli(1)), lsnIn(5, 9))).toMatchObject({
      endLsn: lsnIn(5, 9),
      segmentCount: 0,
      gap: { firstMissing: '000000010000000000000005', resumesAt: '000000010000000000000007' },
    });
    expect(contiguousWalFrom(archiveOf(), rootHistory(tli(1)), lsnIn(5))).toEqual({ endLsn: lsnIn(5), endTimeline: 1, segmentCount: 0 });
  });

  it('goes from a parent to its child, although the fork’s segment is whole on the child only', () => {
    const archive = archiveOf(segments(2, 4, 1), segments(5, 8, 2));
    expect(contiguousWalFrom(archive, FORKED, lsnIn(3))).toEqual({
      endLsn: lsnIn(9),
      endTimeline: 2,
      lastArchivedAt: at(90),
      segmentCount: 6,
    });
  });

  it('does not follow the parent beyond the fork, however much of it there is', () => {
    const archive = archiveOf(segments(2, 30, 1));
    expect(contiguousWalFrom(archive, FORKED, lsnIn(3))).toEqual({ endLsn: lsnIn(5, 100), endTimeline: 1, segmentCount: 3 });
  });

  it('has a gap where the child’s fork segment is missing and later ones are there', () => {
    const archive = archiveOf(segments(2, 5, 1), segments(6, 8, 2));
    expect(contiguousWalFrom(archive, FORKED, lsnIn(3))).toMatchObject({
      endLsn: lsnIn(5, 100),
      gap: { firstMissing: '000000020000000000000005', lastMissing: '000000020000000000000005', resumesAt: '000000020000000000000006' },
    });
  });

  it('has a gap that reaches from the parent over the fork', () => {
    const archive = archiveOf(segments(2, 3, 1), segments(7, 8, 2));
    expect(contiguousWalFrom(archive, FORKED, lsnIn(3)).gap).toEqual({
      firstMissing: '000000010000000000000004',
      lastMissing: '000000020000000000000006',
      resumesAt: '000000020000000000000007',
    });
  });
});

describe('the segments on a way', () => {
  it('are the parent’s up to the fork’s segment, from there the child’s', () => {
    expect(walPath(FORKED, lsnIn(3), lsnIn(7), SEGMENT_SIZE_BYTES)).toEqual([
      { timeline: 1, firstSegment: 3n, lastSegment: 4n },
      { timeline: 2, firstSegment: 5n, lastSegment: 6n },
    ]);
  });

  it('are the parent’s alone where the end lies before the fork', () => {
    expect(walPath(FORKED, lsnIn(3), lsnIn(5, 100), SEGMENT_SIZE_BYTES)).toEqual([{ timeline: 1, firstSegment: 3n, lastSegment: 5n }]);
    expect(walPath(FORKED, lsnIn(3), lsnIn(3), SEGMENT_SIZE_BYTES)).toEqual([]);
  });
});

const world = fc.record({
  forks: fc.array(
    fc.oneof(
      fc.bigInt({ min: 1n, max: 20n * SIZE }),
      fc.bigInt({ min: 1n, max: 20n }).map((segment) => segment * SIZE),
    ),
    {
      maxLength: 3,
    },
  ),
  missing: fc.array(fc.record({ timeline: fc.integer({ min: 1, max: 4 }), segment: fc.integer({ min: 0, max: 22 }) }), { maxLength: 20 }),
  start: fc.bigInt({ min: 0n, max: 20n * SIZE }),
});

describe('any archive and any history', () => {
  it('are replayed as far as PostgreSQL could, segment by segment', () => {
    fc.assert(
      fc.property(world, ({ forks, missing, start }) => {
        const gone = new Set(missing.map(({ timeline, segment }) => `${timeline}/${segment}`));
        const listed = [1, 2, 3, 4].flatMap((timeline) => segments(0, 22, timeline));
        const archived = listed.filter((one) => !gone.has(`${one.timeline}/${one.segmentNumber}`));
        const followed: TimelineHistory = {
          timeline: tli(forks.length + 1),
          ancestors: forks.map((switchLsn, index) => ({ timeline: tli(index + 1), switchLsn: lsnOf(switchLsn), reason: '' })),
        };
        const archive = archiveOf(archived);
        const names = new Set(archived.map((one) => `${one.timeline}/${one.segmentNumber}`));
        const found = contiguousWalFrom(archive, followed, lsnOf(start));
        expect(found.endLsn).toBe(replayByBruteForce(names, followed, lsnOf(start)).endLsn);
        const touched = found.endLsn === start ? 0n : (found.endLsn - 1n) / SIZE - start / SIZE + 1n;
        expect(BigInt(found.segmentCount)).toBe(touched);
      }),
      { numRuns: 2000 },
    );
  });

  it('need the same number of segments as lie between start and end, each from one timeline', () => {
    fc.assert(
      fc.property(world, fc.bigInt({ min: 0n, max: 20n * SIZE }), ({ forks, start }, end) => {
        const followed: TimelineHistory = {
          timeline: tli(forks.length + 1),
          ancestors: forks.map((switchLsn, index) => ({ timeline: tli(index + 1), switchLsn: lsnOf(switchLsn), reason: '' })),
        };
        const pieces = walPath(followed, lsnOf(start), lsnOf(end), SEGMENT_SIZE_BYTES);
        const listed = pieces.flatMap((piece) =>
          Array.from({ length: Number(piece.lastSegment - piece.firstSegment) + 1 }, (_, index) => piece.firstSegment + BigInt(index)),
        );
        const expected = end <= start ? 0 : Number((end - 1n) / SIZE - start / SIZE) + 1;
        expect(listed).toEqual(Array.from({ length: expected }, (_, index) => start / SIZE + BigInt(index)));
      }),
      { numRuns: 500 },
    );
  });
});
