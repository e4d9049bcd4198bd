import { segmentNumberOf } from '../postgres/wal-segment.ts';
import type { WalPathPiece } from '../recovery/timeline-path.ts';
import { secondsBetween } from '../time/instant.ts';
import { segmentCountOf, type WaitingSegment, waitingSegments } from './acknowledged.ts';
import type { ArchiveFacts, ArchivingPrimary } from './archive-facts.ts';

/** For how long segments have been closed that a repository does not hold yet. */
export interface WaitingTime {
  /** The first of them, at least; absent where nothing tells. */
  readonly seconds?: number;
  /** How many of them nothing dates: no note in archive_status, and no look that found them closed. */
  readonly undated: number;
}

/**
 * Dates each segment by its note in archive_status and by the first look that found it closed. Segments are closed in order, so
 * whatever is known of any of them holds for the first as well. Pure.
 */
export function waitingTime(pending: readonly WalPathPiece[], primary: ArchivingPrimary, facts: ArchiveFacts): WaitingTime {
  const notes = waitingSegments(primary).filter((note) => pending.some((piece) => isIn(piece, note)));
  const ages = [
    ...notes.map(({ since }) => Math.max(0, secondsBetween(since, primary.serverTime))),
    ...pending.slice(0, 1).flatMap((first) => secondsSinceLook(first, primary, facts) ?? []),
  ];
  const undated = pending.reduce((count, piece) => count + undatedOf(piece, notes, primary, facts), 0);
  return { ...(ages.length === 0 ? {} : { seconds: Math.max(...ages) }), undated };
}

/** Since the first look that found the first segment of a piece closed. */
function secondsSinceLook(piece: WalPathPiece, { segmentSizeBytes }: ArchivingPrimary, { samples, now }: ArchiveFacts): number | undefined {
  const look = samples.find(
    ({ timeline, insertLsn }) => timeline >= piece.timeline && segmentNumberOf(insertLsn, segmentSizeBytes) > piece.firstSegment,
  );
  return look === undefined ? undefined : secondsBetween(look.at, now);
}

function undatedOf(
  piece: WalPathPiece,
  notes: readonly WaitingSegment[],
  { segmentSizeBytes }: ArchivingPrimary,
  { samples }: ArchiveFacts,
): number {
  const firstSegment = samples
    .filter(({ timeline }) => timeline >= piece.timeline)
    .map(({ insertLsn }) => segmentNumberOf(insertLsn, segmentSizeBytes))
    .reduce((most, writing) => (writing > most ? writing : most), piece.firstSegment);
  if (firstSegment > piece.lastSegment) return 0;
  const unseen = { ...piece, firstSegment };
  return segmentCountOf([unseen]) - notes.filter((note) => isIn(unseen, note)).length;
}

function isIn({ timeline, firstSegment, lastSegment }: WalPathPiece, segment: WaitingSegment): boolean {
  return timeline === segment.timeline && firstSegment <= segment.segmentNumber && segment.segmentNumber <= lastSegment;
}
