import type { TimelineId } from '../postgres/timeline.ts';
import { classifyWalFile, parseWalSegmentName, segmentNumberOf, walSegmentName } from '../postgres/wal-segment.ts';
import type { WalPathPiece } from '../recovery/timeline-path.ts';
import { type Instant, secondsBetween } from '../time/instant.ts';
import type { ArchiveFacts, ArchiveSample, ArchivingPrimary } from './archive-facts.ts';

interface SegmentPosition {
  readonly timeline: TimelineId;
  readonly segmentNumber: bigint;
}

/** What PostgreSQL believes to be archived, so that it may have removed it. */
export interface AcknowledgedWal {
  /** The archiver came as far as this; it goes by name, hence by timeline, then segment. */
  readonly last?: SegmentPosition;
  /** Segments of the primary's timeline up to this one have been closed for so long that they would wait if they were to come. */
  readonly settledTo?: SegmentPosition;
}

/**
 * PostgreSQL marks a segment as ready when it closes it, and at the latest at a checkpoint. One that has been closed for longer than
 * this and does not wait will never come, whatever the statistics, which can be reset, say.
 */
const SETTLED_SECONDS = 600;

/** What PostgreSQL believes to be archived, by its statistics now and in earlier looks, and by what does not wait. */
export function acknowledgedWal(primary: ArchivingPrimary, facts: ArchiveFacts): AcknowledgedWal {
  const { segmentSizeBytes } = primary;
  const told = [...facts.samples.map(({ archiver }) => archiver), primary.archiver].flatMap(
    ({ lastArchivedWal }) => positionOf(lastArchivedWal, segmentSizeBytes) ?? [],
  );
  const last = told
    .filter(({ timeline }) => timeline <= primary.timeline)
    .reduce<SegmentPosition | undefined>((most, one) => (most !== undefined && compare(most, one) >= 0 ? most : one), undefined);
  const settledTo = settledPosition(primary, facts);
  return { ...(last === undefined ? {} : { last }), ...(settledTo === undefined ? {} : { settledTo }) };
}

function settledPosition(primary: ArchivingPrimary, { now, samples }: ArchiveFacts): SegmentPosition | undefined {
  if (primary.queue === undefined || !archives(primary)) return undefined;
  const isLongAgo = (sample: ArchiveSample) => sample.timeline === primary.timeline && secondsBetween(sample.at, now) >= SETTLED_SECONDS;
  const then = samples.findLast(isLongAgo);
  if (then === undefined) return undefined;
  return { timeline: then.timeline, segmentNumber: segmentNumberOf(then.insertLsn, primary.segmentSizeBytes) - 1n };
}

/** Whether the server is set to archive at all; true where it may not be asked. */
export function archives({ settings }: ArchivingPrimary): boolean {
  if (settings.archiveMode === 'off') return false;
  const { archiveCommand, archiveLibrary } = settings;
  return archiveCommand === undefined || (archiveCommand !== '' && archiveCommand !== '(disabled)') || (archiveLibrary ?? '') !== '';
}

/**
 * What is missing for good: PostgreSQL believes that it was archived, and it does not wait for the archiver. The rest may yet come.
 * Both in order.
 */
export function partMissing(
  missing: readonly WalPathPiece[],
  primary: ArchivingPrimary,
  acknowledged: AcknowledgedWal,
): { readonly lost: readonly WalPathPiece[]; readonly pending: readonly WalPathPiece[] } {
  const lost: WalPathPiece[] = [];
  const pending: WalPathPiece[] = [];
  for (const piece of missing) {
    const end = acknowledgedEnd(piece, acknowledged);
    if (end < piece.lastSegment) {
      const first = end < piece.firstSegment ? piece.firstSegment : end + 1n;
      pending.push({ ...piece, firstSegment: first });
    }
    if (end < piece.firstSegment) continue;
    const parts = withoutWaiting({ ...piece, lastSegment: end }, primary);
    lost.push(...parts.gone);
    pending.push(...parts.waiting);
  }
  return { lost, pending: inOrder(pending) };
}

/** The last acknowledged segment of a piece; before its first where none is. */
function acknowledgedEnd({ timeline, firstSegment, lastSegment }: WalPathPiece, { last, settledTo }: AcknowledgedWal): bigint {
  const ends = [last, settledTo].map((position) => {
    if (position === undefined || position.timeline < timeline) return firstSegment - 1n;
    return position.timeline > timeline || position.segmentNumber > lastSegment ? lastSegment : position.segmentNumber;
  });
  return ends.reduce((most, end) => (end > most ? end : most), firstSegment - 1n);
}

function withoutWaiting(piece: WalPathPiece, primary: ArchivingPrimary): { gone: WalPathPiece[]; waiting: WalPathPiece[] } {
  const { queue } = primary;
  if (queue === undefined) return { gone: [piece], waiting: [] };
  const isWhole = queue.waiting.length >= queue.count;
  const listed = waitingSegments(primary);
  const gone: WalPathPiece[] = [];
  const waiting: WalPathPiece[] = [];
  let from = piece.firstSegment;
  for (const { timeline, segmentNumber } of listed) {
    if (timeline !== piece.timeline || segmentNumber < from || segmentNumber > piece.lastSegment) continue;
    if (segmentNumber > from) gone.push({ ...piece, firstSegment: from, lastSegment: segmentNumber - 1n });
    waiting.push({ ...piece, firstSegment: segmentNumber, lastSegment: segmentNumber });
    from = segmentNumber + 1n;
  }
  // Of a queue that is longer than what was listed of it, everything behind the listed may wait.
  const isListed = isWhole || isBeforeLast(piece, listed);
  if (from <= piece.lastSegment) (isListed ? gone : waiting).push({ ...piece, firstSegment: from });
  return { gone, waiting };
}

function isBeforeLast({ timeline, lastSegment }: WalPathPiece, listed: readonly WaitingSegment[]): boolean {
  const last = listed.at(-1);
  return last !== undefined && compare({ timeline, segmentNumber: lastSegment }, last) < 0;
}

/** A segment that waits for the archiver. */
export interface WaitingSegment extends SegmentPosition {
  /** When it became ready, by the server's clock. */
  readonly since: Instant;
}

/** The segments that wait for the archiver, in order. */
export function waitingSegments({ queue, segmentSizeBytes }: ArchivingPrimary): readonly WaitingSegment[] {
  return (queue?.waiting ?? []).flatMap(({ file, since }) => {
    const position = classifyWalFile(file) === 'segment' ? positionOf(file, segmentSizeBytes) : undefined;
    return position === undefined ? [] : [{ ...position, since }];
  });
}

export function firstWaitingSegment(primary: ArchivingPrimary): bigint | undefined {
  return waitingSegments(primary).find(({ timeline }) => timeline === primary.timeline)?.segmentNumber;
}

/**
 * How far the archiver had come when it archived a file: everything that comes before it by name. The note of a backup is named after
 * the segment in which the backup began, and may be archived before that segment is closed.
 */
function positionOf(file: string | undefined, segmentSizeBytes: number): SegmentPosition | undefined {
  if (file === undefined) return undefined;
  const kind = classifyWalFile(file);
  if (kind === 'history' || kind === 'other') return undefined;
  try {
    const { timeline, segmentNumber } = parseWalSegmentName(file.slice(0, 24), segmentSizeBytes);
    return { timeline, segmentNumber: kind === 'segment' ? segmentNumber : segmentNumber - 1n };
  } catch {
    return undefined;
  }
}

function compare(left: SegmentPosition, right: SegmentPosition): number {
  if (left.timeline !== right.timeline) return left.timeline - right.timeline;
  return left.segmentNumber < right.segmentNumber ? -1 : left.segmentNumber > right.segmentNumber ? 1 : 0;
}

export function inOrder(pieces: readonly WalPathPiece[]): readonly WalPathPiece[] {
  return pieces.toSorted((left, right) => comparePieces(left, right));
}

function comparePieces(left: WalPathPiece, right: WalPathPiece): number {
  return compare(
    { timeline: left.timeline, segmentNumber: left.firstSegment },
    { timeline: right.timeline, segmentNumber: right.firstSegment },
  );
}

export function firstNameOf({ timeline, firstSegment }: WalPathPiece, segmentSizeBytes: number): string {
  return walSegmentName(timeline, firstSegment, segmentSizeBytes);
}

export function lastNameOf({ timeline, lastSegment }: WalPathPiece, segmentSizeBytes: number): string {
  return walSegmentName(timeline, lastSegment, segmentSizeBytes);
}

export function segmentCountOf(pieces: readonly WalPathPiece[]): number {
  return pieces.reduce((count, { firstSegment, lastSegment }) => count + Number(lastSegment - firstSegment + 1n), 0);
}
