import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lsnOf, parseLsn } from '../../../../src/domain/postgres/lsn.ts';
import { timelineIdOf } from '../../../../src/domain/postgres/timeline.ts';
import {
  assertWalSegmentSize,
  classifyWalFile,
  isWalSegmentName,
  parseWalSegmentName,
  segmentNumberBefore,
  segmentNumberOf,
  segmentStartLsn,
  walSegmentName,
} from '../../../../src/domain/postgres/wal-segment.ts';

const MIB = 1024 * 1024;
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024].map((mebibytes) => mebibytes * MIB);
const size = fc.constantFrom(...SIZES);
const position = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }).map(lsnOf);
const timeline = fc.integer({ min: 1, max: 0xffff_ffff }).map(timelineIdOf);

describe('a WAL segment', () => {
  // SELECT pg_walfile_name('0/3000060') and its like, on clusters made with initdb --wal-segsize.
  it.each([
    ['0/3000060', 16, '000000010000000000000003'],
    ['0/FFFFFFFF', 16, '0000000100000000000000FF'],
    ['1/0', 16, '000000010000000100000000'],
    ['16/B374D848', 16, '0000000100000016000000B3'],
    ['0/3000060', 1, '000000010000000000000030'],
    ['0/FFFFFFFF', 1, '000000010000000000000FFF'],
    ['0/3000060', 64, '000000010000000000000000'],
    ['0/FFFFFFFF', 64, '00000001000000000000003F'],
    ['0/FFFFFFFF', 1024, '000000010000000000000003'],
    ['1/0', 1024, '000000010000000100000000'],
  ])('that holds %s is, in a cluster with segments of %i MiB, named %s', (lsn, mebibytes, name) => {
    const sizeBytes = mebibytes * MIB;
    expect(walSegmentName(timelineIdOf(1), segmentNumberOf(parseLsn(lsn), sizeBytes), sizeBytes)).toBe(name);
  });

  it('has a name from which its timeline and number come back, for every size', () => {
    fc.assert(
      fc.property(timeline, position, size, (tli, lsn, sizeBytes) => {
        const segmentNumber = segmentNumberOf(lsn, sizeBytes);
        const name = walSegmentName(tli, segmentNumber, sizeBytes);
        expect(isWalSegmentName(name)).toBe(true);
        expect(parseWalSegmentName(name, sizeBytes)).toEqual({ timeline: tli, segmentNumber });
      }),
    );
  });

  it('begins at or before each of its bytes, less than its size before', () => {
    fc.assert(
      fc.property(position, size, (lsn, sizeBytes) => {
        const start = segmentStartLsn(segmentNumberOf(lsn, sizeBytes), sizeBytes);
        expect(start <= lsn && lsn - start < BigInt(sizeBytes)).toBe(true);
      }),
    );
  });

  it('sorts by name as it does by number', () => {
    fc.assert(
      fc.property(position, position, size, (left, right, sizeBytes) => {
        const a = segmentNumberOf(left, sizeBytes);
        const b = segmentNumberOf(right, sizeBytes);
        expect(walSegmentName(timelineIdOf(1), a, sizeBytes) < walSegmentName(timelineIdOf(1), b, sizeBytes)).toBe(a < b);
      }),
    );
  });

  it('that ends at a boundary holds what ended there, the next one does not', () => {
    const boundary = parseLsn('0/4000000');
    expect(segmentNumberBefore(boundary, 16 * MIB)).toBe(3n);
    expect(segmentNumberOf(boundary, 16 * MIB)).toBe(4n);
    expect(segmentNumberBefore(lsnOf(boundary + 1n), 16 * MIB)).toBe(4n);
    expect(segmentNumberBefore(lsnOf(0n), 16 * MIB)).toBe(0n);
  });

  it('is refused where its name was made with smaller segments', () => {
    expect(() => parseWalSegmentName('000000010000000000000FFF', 16 * MIB)).toThrow(/does not fit a segment size/);
    expect(parseWalSegmentName('000000010000000000000FFF', MIB).segmentNumber).toBe(0xfffn);
  });

  it.each([
    '',
    '00000001000000000000000',
    '0000000100000000000000030',
    '00000001000000000000000g',
    '000000010000000000000003.partial',
    '00000001000000000000000a',
  ])('is not what is named %j', (name) => {
    expect(isWalSegmentName(name)).toBe(false);
    expect(() => parseWalSegmentName(name, 16 * MIB)).toThrow(RangeError);
  });

  it('has no timeline 0 and no number beyond 64 bits of WAL', () => {
    expect(() => parseWalSegmentName('000000000000000000000003', 16 * MIB)).toThrow(RangeError);
    expect(() => walSegmentName(timelineIdOf(1), 1n << 40n, 16 * MIB)).toThrow(RangeError);
    expect(() => walSegmentName(timelineIdOf(1), -1n, 16 * MIB)).toThrow(RangeError);
  });

  it('has a size that is a power of two from 1 MiB to 1 GiB', () => {
    for (const sizeBytes of SIZES) expect(() => assertWalSegmentSize(sizeBytes)).not.toThrow();
    for (const sizeBytes of [0, -1, 1.5, MIB - 1, MIB / 2, 3 * MIB, 2048 * MIB, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => assertWalSegmentSize(sizeBytes)).toThrow(RangeError);
  });
});

describe('a file in the archive', () => {
  it.each([
    ['000000010000000000000003', 'segment'],
    ['000000010000000000000003.partial', 'partial'],
    ['00000002.history', 'history'],
    ['000000010000000000000002.00000028.backup', 'backup'],
    ['000000010000000000000003-5f0d2f8c1f3b0c2a.gz', 'other'],
    ['000000010000000000000003.partial.tmp', 'other'],
    ['archive.info', 'other'],
    ['', 'other'],
  ] as const)('named %j is taken for: %s', (name, kind) => {
    expect(classifyWalFile(name)).toBe(kind);
  });
});
