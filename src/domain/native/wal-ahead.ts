import { isWalSegmentName, parseWalSegmentName, type WalSegmentName, walSegmentName } from '../postgres/wal-segment.ts';

/** How much WAL lies ready beside a server that replays. */
const AHEAD_BYTES = 256 * 1024 * 1024;
const LEAST_AHEAD = 2;
const MOST_AHEAD = 32;

/** How many segments are fetched before they are asked for. */
export function segmentsAhead(segmentBytes: number): number {
  return Math.min(MOST_AHEAD, Math.max(LEAST_AHEAD, Math.trunc(AHEAD_BYTES / segmentBytes)));
}

/** The names that replay will most likely ask for after `name`: the next ones of the same timeline. Empty after what is no segment, or while its size is not known (0). */
export function namesAfter(name: string, segmentBytes: number): readonly WalSegmentName[] {
  if (!isWalSegmentName(name) || segmentBytes === 0) return [];
  const { timeline, segmentNumber } = parseWalSegmentName(name, segmentBytes);
  return Array.from({ length: segmentsAhead(segmentBytes) }, (_, index) =>
    walSegmentName(timeline, segmentNumber + 1n + BigInt(index), segmentBytes),
  );
}
