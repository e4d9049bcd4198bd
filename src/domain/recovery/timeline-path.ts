import { nextArchivedSegment, rangeContaining, type WalArchive } from '../catalog/wal-archive.ts';
import type { Lsn } from '../postgres/lsn.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { type TimelineHistory, type TimelineSpan, timelineAt, timelineSpans } from '../postgres/timeline-history.ts';
import { segmentNumberBefore, segmentNumberOf, segmentStartLsn, type WalSegmentName, walSegmentName } from '../postgres/wal-segment.ts';
import type { Instant } from '../time/instant.ts';

/** Consecutive segments of one timeline that replay along a history reads. */
export interface WalPathPiece {
  readonly timeline: TimelineId;
  readonly firstSegment: bigint;
  /** Inclusive. */
  readonly lastSegment: bigint;
}

/** How far replay gets from a position on, with what an archive holds. */
export interface ContiguousWal {
  /** The end of the last byte that can be replayed, exclusive; the start position itself where nothing is there. */
  readonly endLsn: Lsn;
  /** The timeline that holds the last of these bytes. */
  readonly endTimeline: TimelineId;
  /** When the last segment was archived; absent where the repository tells none, or told it only of a later segment. */
  readonly lastArchivedAt?: Instant;
  readonly segmentCount: number;
  /** Present only where the history's WAL goes on behind a hole; otherwise the archive simply ends there. */
  readonly gap?: {
    readonly firstMissing: WalSegmentName;
    readonly lastMissing: WalSegmentName;
    readonly resumesAt: WalSegmentName;
  };
}

/**
 * The segments that replay from `startLsn` up to `endLsn` (exclusive) reads. The segment that holds a fork exists on the
 * parent, often only as `.partial`, and whole on the child; PostgreSQL reads it from the newest timeline that has it
 * (XLogFileReadAnyTLI), so it is the child's that counts, unless the end lies before the fork.
 */
export function walPath(history: TimelineHistory, startLsn: Lsn, endLsn: Lsn, segmentSizeBytes: number): readonly WalPathPiece[] {
  if (endLsn <= startLsn) return [];
  const spans = timelineSpans(history).filter((span) => span.beginLsn < endLsn);
  const start = segmentNumberOf(startLsn, segmentSizeBytes);
  const last = segmentNumberBefore(endLsn, segmentSizeBytes);
  return piecesOf(spans, start, segmentSizeBytes).flatMap((piece) => {
    const lastSegment = piece.lastSegment === undefined || piece.lastSegment > last ? last : piece.lastSegment;
    return piece.firstSegment > lastSegment ? [] : [{ timeline: piece.timeline, firstSegment: piece.firstSegment, lastSegment }];
  });
}

/** How far the WAL of an archive goes without a hole from `startLsn` along a history. */
export function contiguousWalFrom(archive: WalArchive, history: TimelineHistory, startLsn: Lsn): ContiguousWal {
  const size = archive.segmentSizeBytes;
  const spans = timelineSpans(history);
  const start = segmentNumberOf(startLsn, size);
  const pieces = piecesOf(spans, start, size);
  let reached: Reached = { endLsn: startLsn, endTimeline: timelineAt(history, startLsn), nextSegment: start };
  for (const piece of pieces) {
    const present = presentPart(archive, piece);
    if (present !== undefined) reached = present;
    if (present !== undefined && present.nextSegment - 1n === piece.lastSegment) continue;
    const older = present === undefined ? olderCopy(archive, spans, piece) : undefined;
    const end = older !== undefined && older.endLsn > startLsn ? older : reached;
    const missing = present === undefined ? piece.firstSegment : present.nextSegment;
    const gap = gapAt(archive, pieces, piece, missing);
    return contiguous(archive, end, start, gap);
  }
  return contiguous(archive, reached, start, undefined);
}

interface Reached {
  readonly endLsn: Lsn;
  readonly endTimeline: TimelineId;
  /** The segment after the last one that is there. */
  readonly nextSegment: bigint;
  readonly lastArchivedAt?: Instant;
}

interface OpenPiece {
  readonly timeline: TimelineId;
  readonly firstSegment: bigint;
  /** Absent for the newest timeline. */
  readonly lastSegment?: bigint;
}

/** Which timeline each segment from `start` on is to be read from: the newest that began in it or before it. */
function piecesOf(spans: readonly TimelineSpan[], start: bigint, segmentSizeBytes: number): OpenPiece[] {
  const begins = spans.map((span) => segmentNumberOf(span.beginLsn, segmentSizeBytes));
  return spans.flatMap((span, index): OpenPiece[] => {
    const begin = begins[index] ?? 0n;
    const firstSegment = begin > start ? begin : start;
    const next = begins[index + 1];
    if (next === undefined) return [{ timeline: span.timeline, firstSegment }];
    return next > firstSegment ? [{ timeline: span.timeline, firstSegment, lastSegment: next - 1n }] : [];
  });
}

function presentPart(archive: WalArchive, piece: OpenPiece): Reached | undefined {
  const range = rangeContaining(archive, piece.timeline, piece.firstSegment);
  if (range === undefined) return undefined;
  const isCut = piece.lastSegment !== undefined && piece.lastSegment < range.lastSegment;
  const lastSegment = isCut ? piece.lastSegment : range.lastSegment;
  const reached = {
    endLsn: segmentStartLsn(lastSegment + 1n, archive.segmentSizeBytes),
    endTimeline: piece.timeline,
    nextSegment: lastSegment + 1n,
  };
  return isCut || range.lastArchivedAt === undefined ? reached : { ...reached, lastArchivedAt: range.lastArchivedAt };
}

/** The fork's segment is not there on the child yet: an older timeline's copy of it serves up to where that timeline ends. */
function olderCopy(archive: WalArchive, spans: readonly TimelineSpan[], piece: OpenPiece): Reached | undefined {
  const segment = piece.firstSegment;
  const segmentStart = segmentStartLsn(segment, archive.segmentSizeBytes);
  for (const span of spans.toReversed()) {
    if (span.timeline >= piece.timeline || span.endLsn === undefined || span.endLsn <= segmentStart) continue;
    const range = rangeContaining(archive, span.timeline, segment);
    if (range === undefined) continue;
    const reached = { endLsn: span.endLsn, endTimeline: span.timeline, nextSegment: segment + 1n };
    const tellsTime = range.lastSegment === segment && range.lastArchivedAt !== undefined;
    return tellsTime ? { ...reached, lastArchivedAt: range.lastArchivedAt } : reached;
  }
  return undefined;
}

function gapAt(archive: WalArchive, pieces: readonly OpenPiece[], from: OpenPiece, missing: bigint): ContiguousWal['gap'] {
  const size = archive.segmentSizeBytes;
  let lastMissing = walSegmentName(from.timeline, missing, size);
  const firstMissing = lastMissing;
  for (const piece of pieces.slice(pieces.indexOf(from))) {
    const first = piece === from ? missing : piece.firstSegment;
    const resumes = nextArchivedSegment(archive, piece.timeline, first);
    if (resumes !== undefined && (piece.lastSegment === undefined || resumes <= piece.lastSegment)) {
      if (resumes > first) lastMissing = walSegmentName(piece.timeline, resumes - 1n, size);
      return { firstMissing, lastMissing, resumesAt: walSegmentName(piece.timeline, resumes, size) };
    }
    if (piece.lastSegment !== undefined) lastMissing = walSegmentName(piece.timeline, piece.lastSegment, size);
  }
  return undefined;
}

function contiguous(archive: WalArchive, end: Reached, start: bigint, gap: ContiguousWal['gap']): ContiguousWal {
  return {
    endLsn: endInStreamed(archive, end),
    endTimeline: end.endTimeline,
    segmentCount: Number(end.nextSegment - start),
    ...(end.lastArchivedAt === undefined ? {} : { lastArchivedAt: end.lastArchivedAt }),
    ...(gap === undefined ? {} : { gap }),
  };
}

/** Of a segment that was streamed the beginning alone may be there. */
function endInStreamed({ streamed, segmentSizeBytes }: WalArchive, { endLsn, endTimeline }: Reached): Lsn {
  const last = segmentNumberBefore(endLsn, segmentSizeBytes);
  const found = streamed?.segments.find(({ timeline, segmentNumber }) => timeline === endTimeline && segmentNumber === last);
  return found?.endLsn === undefined || found.endLsn > endLsn ? endLsn : found.endLsn;
}
