import type { TimelineHistory } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { Instant } from '../time/instant.ts';
import type { TailSegment } from './wal-tail.ts';

/** A run of archived segments of one timeline without a hole. Numbers are segment numbers (LSN / segment size). */
export interface WalRange {
  readonly timeline: TimelineId;
  readonly firstSegment: bigint;
  /** Inclusive. */
  readonly lastSegment: bigint;
  /** When the last segment reached the repository, by the repository's clock; absent where it tells none. */
  readonly lastArchivedAt?: Instant;
}

/** What a repository's WAL archive really holds, as it was listed. */
export interface WalArchive {
  readonly segmentSizeBytes: number;
  /** Where only the end of the archive was listed: nothing is known of segments with lower numbers. */
  readonly listedFrom?: bigint;
  /** Sorted by timeline, then segment; ranges of one timeline neither touch nor overlap. */
  readonly ranges: readonly WalRange[];
  /** Of every `.history` file found, sorted by timeline. */
  readonly histories: readonly TimelineHistory[];
  /** Where streamed WAL is counted in: what the archive holds without it, and the segments that it lacks. */
  readonly streamed?: { readonly archive: WalArchive; readonly segments: readonly TailSegment[] };
}

/** One archived segment as a listing has it. */
export interface ArchivedSegment {
  readonly timeline: TimelineId;
  readonly segmentNumber: bigint;
  /** When it reached the repository, by the repository's clock. */
  readonly archivedAt?: Instant;
}

/**
 * Joins segments into ranges. The order of the listing does not matter and a segment may come twice;
 * of a million segments that come in order it costs one pass.
 */
export function walRangesOf(segments: Iterable<ArchivedSegment>): WalRange[] {
  const sorted = inOrder([...segments]);
  const ranges: WalRange[] = [];
  let first: ArchivedSegment | undefined;
  let last: ArchivedSegment | undefined;
  const close = () => {
    if (first === undefined || last === undefined) return;
    const range = { timeline: first.timeline, firstSegment: first.segmentNumber, lastSegment: last.segmentNumber };
    ranges.push(last.archivedAt === undefined ? range : { ...range, lastArchivedAt: last.archivedAt });
  };
  for (const segment of sorted) {
    const continues = last !== undefined && segment.timeline === last.timeline && segment.segmentNumber <= last.segmentNumber + 1n;
    if (!continues) {
      close();
      first = segment;
    }
    last = segment;
  }
  close();
  return ranges;
}

/** The range that holds a segment, undefined where it is not archived. */
export function rangeContaining(archive: WalArchive, timeline: TimelineId, segmentNumber: bigint): WalRange | undefined {
  const next = firstRangeEndingAtOrAfter(archive.ranges, timeline, segmentNumber);
  return next?.timeline === timeline && next.firstSegment <= segmentNumber ? next : undefined;
}

/** The first archived segment of a timeline whose number is at least `segmentNumber`; undefined where there is none. */
export function nextArchivedSegment(archive: WalArchive, timeline: TimelineId, segmentNumber: bigint): bigint | undefined {
  const next = firstRangeEndingAtOrAfter(archive.ranges, timeline, segmentNumber);
  if (next?.timeline !== timeline) return undefined;
  return next.firstSegment > segmentNumber ? next.firstSegment : segmentNumber;
}

function firstRangeEndingAtOrAfter(ranges: readonly WalRange[], timeline: TimelineId, segmentNumber: bigint): WalRange | undefined {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const range = ranges[middle];
    if (range === undefined) break;
    const endsBefore = range.timeline < timeline || (range.timeline === timeline && range.lastSegment < segmentNumber);
    if (endsBefore) low = middle + 1;
    else high = middle;
  }
  return ranges[low];
}

function inOrder(segments: ArchivedSegment[]): readonly ArchivedSegment[] {
  const sorted = segments.every((segment, index) => {
    const previous = segments[index - 1];
    return previous === undefined || compareSegments(previous, segment) <= 0;
  });
  return sorted ? segments : segments.sort(compareSegments);
}

function compareSegments(left: ArchivedSegment, right: ArchivedSegment): number {
  if (left.timeline !== right.timeline) return left.timeline - right.timeline;
  if (left.segmentNumber !== right.segmentNumber) return left.segmentNumber < right.segmentNumber ? -1 : 1;
  return Number((left.archivedAt ?? 0n) - (right.archivedAt ?? 0n));
}
