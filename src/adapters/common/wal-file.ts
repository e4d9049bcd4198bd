import type { FileHandle } from 'node:fs/promises';
import {
  LONG_HEADER_BYTES,
  readSegmentHeader,
  type RecordedWal,
  type SegmentHeader,
  walkRecords,
  writtenPageBytes,
} from '../../domain/postgres/wal-page.ts';
import { parseWalSegmentName } from '../../domain/postgres/wal-segment.ts';

const SCAN_BYTES = 1024 * 1024;

/** How far a segment's file has been written. */
export interface RecordedFile {
  /** Whole pages, from its beginning on. */
  readonly pagesBytes: number;
  readonly recorded: RecordedWal;
}

/** What the first page says; undefined where that is not of the segment whose name the file has. */
export async function readOwnHeader(file: FileHandle, name: string): Promise<SegmentHeader | undefined> {
  const header = readSegmentHeader(await chunk(file, 0, LONG_HEADER_BYTES));
  return header === undefined || !isItsOwn(name, header) ? undefined : header;
}

/** `before`: what an earlier look came to, so that only what has come since is read. */
export async function readRecorded(file: FileHandle, header: SegmentHeader, before?: RecordedFile): Promise<RecordedFile> {
  const pagesBytes = await endOfPages(file, header, before?.pagesBytes ?? 0);
  return { pagesBytes, recorded: await walked(file, header, pagesBytes, before?.recorded) };
}

/** A file that only has the name of a segment, or of another cluster, is none of ours. */
function isItsOwn(name: string, { timeline, startLsn, segmentSizeBytes }: SegmentHeader): boolean {
  try {
    const named = parseWalSegmentName(name, segmentSizeBytes);
    // The segment in which a timeline begins is copied from its parent, first page and all.
    return named.segmentNumber * BigInt(segmentSizeBytes) === startLsn && timeline <= named.timeline;
  } catch {
    return false;
  }
}

async function endOfPages(file: FileHandle, header: SegmentHeader, from: number): Promise<number> {
  for (let offset = from; ; ) {
    const bytes = await chunk(file, offset, SCAN_BYTES);
    const written = writtenPageBytes(bytes, offset, header);
    offset += written;
    if (written < bytes.length || bytes.length < SCAN_BYTES) return offset;
  }
}

/** A window at a time; a wider one where a record does not fit. */
async function walked(file: FileHandle, header: SegmentHeader, end: number, before: RecordedWal | undefined): Promise<RecordedWal> {
  const { pageBytes } = header;
  let recorded = before?.endOffset === 0 ? undefined : before;
  for (let window = SCAN_BYTES; ; ) {
    const position = recorded?.endOffset ?? 0;
    // A position at the beginning of a page lies behind its last byte.
    const offset = position - (position % pageBytes);
    const bytes = await chunk(file, offset, Math.min(window, end - offset));
    const next = walkRecords(bytes, offset, pageBytes, recorded);
    const hasMoved = next.endOffset > position;
    recorded = next.lastRecordOffset === undefined && !hasMoved ? recorded : next;
    if (offset + bytes.length >= end) return recorded ?? next;
    window = hasMoved ? SCAN_BYTES : 2 * window;
  }
}

/** So many bytes from there on, or all that there are. */
export async function chunk(file: FileHandle, offset: number, bytes: number): Promise<Uint8Array> {
  if (bytes <= 0) return new Uint8Array();
  const buffer = new Uint8Array(bytes);
  let filled = 0;
  while (filled < bytes) {
    const { bytesRead } = await file.read(buffer, filled, bytes - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
