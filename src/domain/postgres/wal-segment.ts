import { type Lsn, lsnOf } from './lsn.ts';
import { formatTimelineHex, type TimelineId, timelineIdOf } from './timeline.ts';

/** The name of a WAL segment file: 24 hexadecimal digits, upper-case (timeline, then the segment number in two halves). */
export type WalSegmentName = string & { readonly __brand: 'WalSegmentName' };

/** What a file in pg_wal or in the archive is, by its name alone (PostgreSQL: IsXLogFileName and its kin, xlog_internal.h). */
export type WalFileKind = 'segment' | 'partial' | 'history' | 'backup' | 'other';

const SEGMENT_NAME = /^[0-9A-F]{24}$/;
const MIN_SEGMENT_SIZE_BYTES = 1024 * 1024;
const MAX_SEGMENT_SIZE_BYTES = 1024 * 1024 * 1024;
const BYTES_PER_XLOG_ID = 0x1_0000_0000n;

/** Throws RangeError unless `sizeBytes` is a power of two from 1 MiB to 1 GiB, as initdb --wal-segsize demands. */
export function assertWalSegmentSize(sizeBytes: number): void {
  const inRange = Number.isInteger(sizeBytes) && sizeBytes >= MIN_SEGMENT_SIZE_BYTES && sizeBytes <= MAX_SEGMENT_SIZE_BYTES;
  if (!inRange || (sizeBytes & (sizeBytes - 1)) !== 0)
    throw new RangeError(`not a WAL segment size: ${sizeBytes} bytes (expected a power of two from 1 MiB to 1 GiB)`);
}

/** True where `name` has the form of a segment name; whether it fits a segment size is for parseWalSegmentName to say. */
export function isWalSegmentName(name: string): name is WalSegmentName {
  return SEGMENT_NAME.test(name);
}

/**
 * Reads a segment name. Throws RangeError where it has not the form, where its timeline is 0, or where its last
 * eight digits are not below the number of segments in 4 GiB (a name made with another segment size).
 */
export function parseWalSegmentName(name: string, segmentSizeBytes: number): { timeline: TimelineId; segmentNumber: bigint } {
  if (!isWalSegmentName(name)) throw new RangeError(`not a WAL segment name: "${name}" (expected 24 hexadecimal digits)`);
  const segmentsPerXlogId = segmentsPerXlogIdOf(segmentSizeBytes);
  const high = BigInt(`0x${name.slice(8, 16)}`);
  const low = BigInt(`0x${name.slice(16)}`);
  if (low >= segmentsPerXlogId) throw new RangeError(`WAL segment name ${name} does not fit a segment size of ${segmentSizeBytes} bytes`);
  return { timeline: timelineIdOf(Number.parseInt(name.slice(0, 8), 16)), segmentNumber: high * segmentsPerXlogId + low };
}

/** The file name of a segment (PostgreSQL: XLogFileName). Throws RangeError where the number is outside 64 bits of WAL. */
export function walSegmentName(timeline: TimelineId, segmentNumber: bigint, segmentSizeBytes: number): WalSegmentName {
  const segmentsPerXlogId = segmentsPerXlogIdOf(segmentSizeBytes);
  const high = segmentNumber / segmentsPerXlogId;
  if (segmentNumber < 0n || high > 0xffff_ffffn) throw new RangeError(`WAL segment number out of range: ${segmentNumber}`);
  return `${formatTimelineHex(timeline)}${hex8(high)}${hex8(segmentNumber % segmentsPerXlogId)}` as WalSegmentName;
}

/** The segment that holds the byte at `lsn` (PostgreSQL: XLByteToSeg). */
export function segmentNumberOf(lsn: Lsn, segmentSizeBytes: number): bigint {
  assertWalSegmentSize(segmentSizeBytes);
  return lsn / BigInt(segmentSizeBytes);
}

/**
 * The segment that holds the byte before `lsn` (PostgreSQL: XLByteToPrevSeg). For positions where something ended:
 * a backup that stopped on a segment boundary needs nothing of the segment that begins there.
 */
export function segmentNumberBefore(lsn: Lsn, segmentSizeBytes: number): bigint {
  assertWalSegmentSize(segmentSizeBytes);
  return lsn === 0n ? 0n : (lsn - 1n) / BigInt(segmentSizeBytes);
}

/** The position of a segment's first byte. Throws RangeError where it is outside 64 bits. */
export function segmentStartLsn(segmentNumber: bigint, segmentSizeBytes: number): Lsn {
  assertWalSegmentSize(segmentSizeBytes);
  return lsnOf(segmentNumber * BigInt(segmentSizeBytes));
}

/**
 * What a file name says: a whole segment, one cut short by a promotion (`.partial`), a timeline history,
 * a backup history file, or something else.
 */
export function classifyWalFile(name: string): WalFileKind {
  if (SEGMENT_NAME.test(name)) return 'segment';
  if (/^[0-9A-F]{24}\.partial$/.test(name)) return 'partial';
  if (/^[0-9A-F]{8}\.history$/.test(name)) return 'history';
  if (/^[0-9A-F]{24}\.[0-9A-F]{8}\.backup$/.test(name)) return 'backup';
  return 'other';
}

function segmentsPerXlogIdOf(segmentSizeBytes: number): bigint {
  assertWalSegmentSize(segmentSizeBytes);
  return BYTES_PER_XLOG_ID / BigInt(segmentSizeBytes);
}

function hex8(value: bigint): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}
