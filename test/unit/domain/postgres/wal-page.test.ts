import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readSegmentHeader, type RecordedWal, walkRecords, writtenPageBytes } from '../../../../src/domain/postgres/wal-page.ts';
import { parseLsn } from '../../../../src/domain/postgres/lsn.ts';
import { PAGE_BYTES, WrittenSegment } from './written-segment.ts';

const START = parseLsn('0/5000000');

function segmentOf(contentLengths: readonly number[]): WrittenSegment {
  const segment = new WrittenSegment(START);
  for (const length of contentLengths) segment.append(length);
  return segment;
}

describe('the header of a segment', () => {
  it('tells what cluster and timeline it is of, and where it begins', () => {
    expect(readSegmentHeader(segmentOf([]).bytes)).toEqual({
      timeline: 1,
      startLsn: START,
      systemIdentifier: 7711967327649486324n,
      segmentSizeBytes: 1024 * 1024,
      pageBytes: PAGE_BYTES,
    });
  });

  it('is not found in zeros, nor in what is too short', () => {
    expect(readSegmentHeader(new Uint8Array(8192))).toBeUndefined();
    expect(readSegmentHeader(segmentOf([]).bytes.subarray(0, 39))).toBeUndefined();
  });
});

describe('pages that have been written', () => {
  it('end where zeros begin', () => {
    const segment = segmentOf([20_000, 100]);
    const header = readSegmentHeader(segment.bytes);
    if (header === undefined) throw new Error('the segment has a header');
    expect(writtenPageBytes(segment.bytes, 0, header)).toBe(3 * PAGE_BYTES);
    expect(writtenPageBytes(segment.bytes.subarray(PAGE_BYTES), PAGE_BYTES, header)).toBe(2 * PAGE_BYTES);
  });
});

describe('walking the records', () => {
  it('finds the last one and where the next one will begin', () => {
    const segment = segmentOf([26, 100, 34]);
    // The first page begins with its 40 bytes; records begin at multiples of eight.
    expect(walkRecords(segment.bytes, 0, PAGE_BYTES)).toEqual({ lastRecordOffset: 40 + 32 + 104, endOffset: 40 + 32 + 104 + 40 });
  });

  it('counts a record whose own last bytes are zeros', () => {
    const segment = new WrittenSegment(START);
    segment.append(40, { endsInZeros: 6 });
    expect(walkRecords(segment.bytes, 0, PAGE_BYTES)).toEqual({ lastRecordOffset: 40, endOffset: 80 });
  });

  it('does not count a record that has not come as a whole', () => {
    const segment = segmentOf([26, 300]);
    segment.bytes.fill(0, 40 + 32 + 200);
    expect(walkRecords(segment.bytes, 0, PAGE_BYTES)).toEqual({ lastRecordOffset: 40, endOffset: 72 });
  });

  it('goes on over the rest of a record that began in the segment before', () => {
    const segment = new WrittenSegment(START, { continued: 10_000 });
    segment.append(50);
    // 8192 - 40 of it are on the first page, the rest behind the 24 bytes of the second.
    const begin = PAGE_BYTES + 24 + Math.ceil((10_000 - (PAGE_BYTES - 40)) / 8) * 8;
    expect(walkRecords(segment.bytes, 0, PAGE_BYTES).lastRecordOffset).toBe(begin);
  });

  it('believes no header of a page that has not come as a whole', () => {
    for (const cut of [1, 2, 3, 17, 39, 40]) {
      const segment = segmentOf([4401]);
      segment.bytes.fill(0, cut);
      expect(walkRecords(segment.bytes, 0, PAGE_BYTES)).toEqual({ endOffset: 0 });
    }
  });

  it('knows of no record where only the rest of an earlier one has come', () => {
    const segment = new WrittenSegment(START, { continued: 10_000 });
    expect(walkRecords(segment.bytes, 0, PAGE_BYTES).lastRecordOffset).toBeUndefined();
  });

  it('comes to the same whether it sees all at once or what has come since', () => {
    const lengths = fc.array(fc.integer({ min: 24, max: 30_000 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(lengths, fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }), (records, cuts) => {
        const { bytes, ends } = segmentOf(records);
        const end = ends.at(-1) ?? 0;
        let seen: RecordedWal | undefined;
        for (const cut of [...cuts.toSorted((one, other) => one - other), 1]) {
          const received = bytes.slice();
          received.fill(0, Math.ceil(cut * end));
          const offset = seen === undefined ? 0 : seen.endOffset - (seen.endOffset % PAGE_BYTES);
          const next = walkRecords(received.subarray(offset), offset, PAGE_BYTES, seen);
          if (next.endOffset > 0) seen = next;
        }
        expect(seen).toEqual(walkRecords(bytes, 0, PAGE_BYTES));
      }),
    );
  });

  it('never counts a record of which a byte is missing', () => {
    const lengths = fc.array(fc.integer({ min: 24, max: 20_000 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(lengths, fc.double({ min: 0, max: 1, noNaN: true }), (records, cut) => {
        const segment = segmentOf(records);
        const { bytes, ends } = segment;
        const received = Math.floor(cut * bytes.length);
        bytes.fill(0, received);
        const whole = ends.filter((end) => end <= received).length;
        const { lastRecordOffset } = walkRecords(bytes, 0, PAGE_BYTES);
        expect(lastRecordOffset ?? -1).toBe(segment.begins[whole - 1] ?? -1);
      }),
    );
  });
});
