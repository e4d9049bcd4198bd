import { parseLsn } from '../../domain/postgres/lsn.ts';
import { segmentNumberBefore, segmentNumberOf, walSegmentName } from '../../domain/postgres/wal-segment.ts';
import { timelineIdOf } from '../../domain/postgres/timeline.ts';

const MEBIBYTE = 1024 * 1024;
const DEFAULT_SEGMENT_BYTES = 16 * MEBIBYTE;
const SEGMENT_SIZES_BYTES = Array.from({ length: 11 }, (_, power) => MEBIBYTE * 2 ** power);
const BYTES_PER_XLOG_ID = 2 ** 32;

/** What a backup tells of positions and of the segments that hold them. */
export interface SegmentEvidence {
  readonly archive: { readonly start: string | null; readonly stop: string | null };
  readonly lsn?: { readonly start: string; readonly stop: string } | null | undefined;
}

/**
 * The size of WAL segments, which pgBackRest records nowhere. Each backup tells two positions and the names of the segments that
 * hold them, and as a rule only one size makes the one of the other; backups that began in the first segment of 4 GiB leave
 * several, of which others (newest first) and the highest segment number in a name (they begin anew every 4 GiB) rule out more.
 * Where several remain it is PostgreSQL's default, or the largest below it.
 */
export function segmentSizeOf(backups: readonly SegmentEvidence[], segmentNames: Iterable<string>): number {
  let candidates: readonly number[] = SEGMENT_SIZES_BYTES;
  for (const backup of backups.toReversed()) {
    const fitting = candidates.filter((size) => fits(backup, size));
    // None where pg_resetwal has changed the size: then the newer backups count.
    if (fitting.length > 0) candidates = fitting;
    if (fitting.length === 1) break;
  }
  if (candidates.length > 1) candidates = narrowedByNames(candidates, segmentNames);
  return candidates.findLast((size) => size <= DEFAULT_SEGMENT_BYTES) ?? candidates[0] ?? DEFAULT_SEGMENT_BYTES;
}

function fits({ archive, lsn }: SegmentEvidence, sizeBytes: number): boolean {
  if (lsn === undefined || lsn === null || archive.start === null || archive.stop === null) return true;
  const stopLsn = parseLsn(lsn.stop);
  // At a boundary the versions of PostgreSQL differ in which of the two segments they name.
  const stops = [segmentNumberBefore(stopLsn, sizeBytes), segmentNumberOf(stopLsn, sizeBytes)];
  return (
    archive.start === nameOf(archive.start, segmentNumberOf(parseLsn(lsn.start), sizeBytes), sizeBytes) &&
    stops.some((segment) => archive.stop === nameOf(archive.stop ?? '', segment, sizeBytes))
  );
}

/** The name of a segment on the timeline of another name. */
function nameOf(other: string, segment: bigint, sizeBytes: number): string {
  return walSegmentName(timelineIdOf(Number.parseInt(other.slice(0, 8), 16)), segment, sizeBytes);
}

function narrowedByNames(candidates: readonly number[], segmentNames: Iterable<string>): readonly number[] {
  let highest = 0;
  for (const name of segmentNames) highest = Math.max(highest, Number.parseInt(name.slice(16, 24), 16));
  const fitting = candidates.filter((size) => highest < BYTES_PER_XLOG_ID / size);
  return fitting.length > 0 ? fitting : candidates;
}
