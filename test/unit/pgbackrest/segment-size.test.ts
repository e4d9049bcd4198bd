import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type SegmentEvidence, segmentSizeOf } from '../../../src/adapters/pgbackrest/segment-size.ts';
import { formatLsn, lsnOf } from '../../../src/domain/postgres/lsn.ts';
import { timelineIdOf } from '../../../src/domain/postgres/timeline.ts';
import { segmentNumberBefore, segmentNumberOf, walSegmentName } from '../../../src/domain/postgres/wal-segment.ts';

const MEBIBYTE = 1024 * 1024;
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024].map((size) => size * MEBIBYTE);
const FOUR_GIBIBYTES = 0x1_0000_0000n;

/** A backup as pgBackRest would describe it on a server with such segments. */
function backupAt(startOffset: bigint, stopOffset: bigint, sizeBytes: number): SegmentEvidence {
  const [start, stop] = [lsnOf(startOffset), lsnOf(stopOffset)];
  const timeline = timelineIdOf(1);
  return {
    lsn: { start: formatLsn(start), stop: formatLsn(stop) },
    archive: {
      start: walSegmentName(timeline, segmentNumberOf(start, sizeBytes), sizeBytes),
      stop: walSegmentName(timeline, segmentNumberBefore(stop, sizeBytes), sizeBytes),
    },
  };
}

it('is what one backup outside of the first segment of 4 GiB tells', () => {
  fc.assert(
    fc.property(fc.constantFrom(...SIZES), fc.bigInt(0n, 2n ** 50n), fc.bigInt(1n, 2n ** 30n), (size, offset, length) => {
      const isFirst = offset % FOUR_GIBIBYTES < BigInt(size);
      fc.pre(!isFirst);
      expect(segmentSizeOf([backupAt(offset, offset + length, size)], [])).toBe(size);
    }),
  );
});

it('is found by another backup where one fits every size', () => {
  // 3/28 is in segment 0 of its 4 GiB whatever the size.
  const vague = backupAt(3n * FOUR_GIBIBYTES + 0x28n, 3n * FOUR_GIBIBYTES + 0x100n, MEBIBYTE);
  const telling = backupAt(2n * FOUR_GIBIBYTES + 5n * 2n ** 20n, 2n * FOUR_GIBIBYTES + 6n * 2n ** 20n, MEBIBYTE);
  expect(segmentSizeOf([telling, vague], [])).toBe(MEBIBYTE);
  expect(segmentSizeOf([vague, telling], [])).toBe(MEBIBYTE);
});

it('is the default where every size fits', () => {
  expect(segmentSizeOf([], [])).toBe(16 * MEBIBYTE);
  expect(segmentSizeOf([backupAt(FOUR_GIBIBYTES + 0x28n, FOUR_GIBIBYTES + 0x100n, 16 * MEBIBYTE)], [])).toBe(16 * MEBIBYTE);
});

it('is no size that could not make the names in the archive', () => {
  const vague = backupAt(FOUR_GIBIBYTES + 0x28n, FOUR_GIBIBYTES + 0x100n, 4 * MEBIBYTE);
  // With 4 MiB there are 1024 segments in 4 GiB, so the last is 3FF; with 16 MiB FF would be the last.
  expect(segmentSizeOf([vague], ['0000000100000000000003FF'])).toBe(4 * MEBIBYTE);
});

it('is the one of the newest backups where it was changed', () => {
  const before = backupAt(0x1000028n, 0x1000100n, 16 * MEBIBYTE);
  const after = backupAt(0x8000028n, 0x8000100n, 64 * MEBIBYTE);
  expect(segmentSizeOf([before, after], [])).toBe(64 * MEBIBYTE);
});

it('does not depend on which of two segments is named for a stop on their boundary', () => {
  const start = backupAt(0x2000028n, 0x3000000n, 16 * MEBIBYTE);
  const named = (stop: string): SegmentEvidence => ({ ...start, archive: { ...start.archive, stop } });
  expect(segmentSizeOf([named('000000010000000000000002')], [])).toBe(16 * MEBIBYTE);
  expect(segmentSizeOf([named('000000010000000000000003')], [])).toBe(16 * MEBIBYTE);
});
