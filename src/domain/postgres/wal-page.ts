import { type Lsn, lsnOf } from './lsn.ts';
import { type SystemIdentifier, parseSystemIdentifier } from './system-identifier.ts';
import { type TimelineId, timelineIdOf } from './timeline.ts';

/** What the first page of every segment says (PostgreSQL: XLogLongPageHeaderData, xlog_internal.h; in the byte order of x86 and ARM). */
export interface SegmentHeader {
  readonly timeline: TimelineId;
  /** Where the segment begins. */
  readonly startLsn: Lsn;
  readonly systemIdentifier: SystemIdentifier;
  readonly segmentSizeBytes: number;
  /** XLOG_BLCKSZ. */
  readonly pageBytes: number;
}

/** How far the records go in what has been received of a segment. Offsets count from its beginning. */
export interface RecordedWal {
  /** Where the last record begins that is there as a whole; absent where none is. */
  readonly lastRecordOffset?: number;
  /** Where the next record begins, or will. */
  readonly endOffset: number;
}

export const LONG_HEADER_BYTES = 40;
const SHORT_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 24;
/** Of xl_crc, the last field of a record's header. */
const CHECKSUM_OFFSET = 20;
const MAGIC_OF_14_TO_20 = { least: 0xd10d, most: 0xd1ff };
const FIRST_IS_CONTINUED = 0x0001;
const LONG_HEADER = 0x0002;
const FIRST_OVERWRITES = 0x0008;

/** Reads the beginning of a segment; undefined where it is none. */
export function readSegmentHeader(bytes: Uint8Array): SegmentHeader | undefined {
  if (bytes.length < LONG_HEADER_BYTES) return undefined;
  const view = viewOf(bytes);
  if (!isMagic(view.getUint16(0, true)) || (view.getUint16(2, true) & LONG_HEADER) === 0) return undefined;
  const timeline = view.getUint32(4, true);
  if (timeline === 0) return undefined;
  return {
    timeline: timelineIdOf(timeline),
    startLsn: lsnOf(view.getBigUint64(8, true)),
    systemIdentifier: parseSystemIdentifier(String(view.getBigUint64(24, true))),
    segmentSizeBytes: view.getUint32(32, true),
    pageBytes: view.getUint32(36, true),
  };
}

/**
 * How many bytes of `bytes`, which begins at a page of the segment at `offset`, belong to pages that have been written: what is received is
 * written from its beginning on, and the rest of the file is zeros or, after a change of the timeline, of an earlier life.
 */
export function writtenPageBytes(bytes: Uint8Array, offset: number, { pageBytes, startLsn }: SegmentHeader): number {
  const view = viewOf(bytes);
  let written = 0;
  while (written + SHORT_HEADER_BYTES <= bytes.length) {
    const isPage = isMagic(view.getUint16(written, true)) && view.getBigUint64(written + 8, true) === startLsn + BigInt(offset + written);
    if (!isPage) break;
    written += pageBytes;
  }
  return Math.min(written, bytes.length);
}

/**
 * Walks the records in `bytes`, which begins at a page of the segment at `offset`. `from`: what an earlier walk came to, so that only what
 * has been received since is looked at; its `endOffset` lies in the first of these pages. Only of a record that runs into the zeros behind
 * what has been received the checksum is looked at: whether it ends in zero bytes of its own, or has not come as a whole.
 */
export function walkRecords(bytes: Uint8Array, offset: number, pageBytes: number, from?: RecordedWal): RecordedWal {
  const pages = new Pages(bytes, offset, pageBytes);
  let position = from === undefined ? pages.firstRecordOf(offset) : from.endOffset;
  let last = from?.lastRecordOffset;
  for (;;) {
    if (position === undefined) break;
    const begin = pages.contentAt(position);
    const length = begin === undefined ? undefined : pages.lengthAt(begin);
    if (begin === undefined || length === undefined) break;
    const end = pages.skip(begin, length);
    if (end.kind === 'missing' || (end.kind === 'record' && !pages.isComplete(begin, length, end.end))) break;
    if (end.kind === 'record') last = begin;
    position = end.next;
  }
  const endOffset = position ?? from?.endOffset ?? offset;
  return last === undefined ? { endOffset } : { lastRecordOffset: last, endOffset };
}

type Skipped =
  | { readonly kind: 'record'; readonly end: number; readonly next: number }
  | { readonly kind: 'overwritten'; readonly next: number }
  | { readonly kind: 'missing' };

/** Records run on over the headers of pages. */
class Pages {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #base: number;
  readonly #pageBytes: number;
  /** Exclusive, of the last byte that is not zero. */
  readonly #end: number;

  constructor(bytes: Uint8Array, base: number, pageBytes: number) {
    this.#view = viewOf(bytes);
    this.#bytes = bytes;
    this.#base = base;
    this.#pageBytes = pageBytes;
    let end = bytes.length;
    while (end > 0 && bytes[end - 1] === 0) end -= 1;
    this.#end = base + end;
  }

  /** The first record that begins in that page or behind it; undefined where that is not there yet. */
  firstRecordOf(page: number): number | undefined {
    const header = this.#headerOf(page);
    if (header === undefined) return undefined;
    if ((header.info & FIRST_IS_CONTINUED) === 0) return page + header.bytes;
    const end = this.skip(page + header.bytes, header.remaining);
    return end.kind === 'missing' ? undefined : end.next;
  }

  /** `position` itself, or the first byte of content where a page begins there. */
  contentAt(position: number): number | undefined {
    if (position % this.#pageBytes !== 0) return position;
    const header = this.#headerOf(position);
    return header === undefined ? undefined : position + header.bytes;
  }

  /** xl_tot_len: eight byte aligned, so it never runs over a page. Undefined where there is no record. */
  lengthAt(position: number): number | undefined {
    const at = position - this.#base;
    if (at + 4 > this.#bytes.length) return undefined;
    const length = this.#view.getUint32(at, true);
    return length < RECORD_HEADER_BYTES ? undefined : length;
  }

  /** Whether a record that ends at `end` has come: surely where something else than zeros comes at its end or behind it. */
  isComplete(begin: number, length: number, end: number): boolean {
    return end <= this.#end || recordChecksumIsRight(this.#content(begin, length));
  }

  /** Where the record behind one of `length` content bytes begins. A record that was broken off and overwritten is none. */
  skip(position: number, length: number): Skipped {
    let at = position;
    let left = length;
    for (;;) {
      const pageEnd = at - (at % this.#pageBytes) + this.#pageBytes;
      if (at + left <= pageEnd) {
        const end = at + left;
        return end > this.#base + this.#bytes.length ? { kind: 'missing' } : { kind: 'record', end, next: Math.ceil(end / 8) * 8 };
      }
      left -= pageEnd - at;
      const header = this.#headerOf(pageEnd);
      if (header === undefined) return { kind: 'missing' };
      if ((header.info & FIRST_OVERWRITES) !== 0) return { kind: 'overwritten', next: pageEnd + header.bytes };
      if ((header.info & FIRST_IS_CONTINUED) === 0) return { kind: 'missing' };
      at = pageEnd + header.bytes;
    }
  }

  /** The bytes of a record without the headers of the pages that it runs over. */
  #content(begin: number, length: number): Uint8Array {
    const content = new Uint8Array(length);
    let at = begin;
    for (let filled = 0; filled < length; ) {
      const part = this.#bytes.subarray(
        at - this.#base,
        at - this.#base + Math.min(length - filled, this.#pageBytes - (at % this.#pageBytes)),
      );
      content.set(part, filled);
      filled += part.length;
      at += part.length + SHORT_HEADER_BYTES;
    }
    return content;
  }

  /** Undefined also where nothing has come behind it: then it may itself not have come as a whole. */
  #headerOf(page: number): { readonly info: number; readonly remaining: number; readonly bytes: number } | undefined {
    const at = page - this.#base;
    if (at < 0 || at + SHORT_HEADER_BYTES > this.#bytes.length || !isMagic(this.#view.getUint16(at, true))) return undefined;
    const info = this.#view.getUint16(at + 2, true);
    const bytes = (info & LONG_HEADER) === 0 ? SHORT_HEADER_BYTES : LONG_HEADER_BYTES;
    if (this.#end <= page + bytes) return undefined;
    return { info, remaining: this.#view.getUint32(at + 16, true), bytes };
  }
}

/** PostgreSQL: ValidXLogRecord. CRC-32C of what comes behind the header, then of the header up to the checksum itself. */
function recordChecksumIsRight(record: Uint8Array): boolean {
  const checksum = crc32c(record.subarray(0, CHECKSUM_OFFSET), crc32c(record.subarray(RECORD_HEADER_BYTES)));
  return checksum === viewOf(record).getUint32(CHECKSUM_OFFSET, true);
}

const CASTAGNOLI_REVERSED = 0x82f63b78;

function crc32c(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? CASTAGNOLI_REVERSED : 0);
  }
  return ~crc >>> 0;
}

/** XLOG_PAGE_MAGIC changes with each major version: 0xD10D in 14, 0xD110 in 15, and so on. */
function isMagic(value: number): boolean {
  return value >= MAGIC_OF_14_TO_20.least && value <= MAGIC_OF_14_TO_20.most;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
