import type { Lsn } from '../postgres/lsn.ts';
import type { SystemIdentifier } from '../postgres/system-identifier.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { TimelineHistory } from '../postgres/timeline-history.ts';
import type { Instant } from '../time/instant.ts';

/** A segment that was streamed beside the archive. */
export interface TailSegment {
  readonly timeline: TimelineId;
  readonly segmentNumber: bigint;
  /** The end of the last record that is in it, exclusive; absent of a whole segment. */
  readonly endLsn?: Lsn;
  /** Where the last record begins that is in it as a whole; absent of a whole segment, and where none is. */
  readonly lastRecordLsn?: Lsn;
}

/** What of the primary's WAL was streamed to where it outlives the primary, beyond what the archive holds. */
export interface WalTail {
  readonly systemIdentifier: SystemIdentifier;
  readonly segmentSizeBytes: number;
  /** By timeline, then segment. */
  readonly segments: readonly TailSegment[];
  /** Of the timelines of these segments. */
  readonly histories: readonly TimelineHistory[];
  /** Everything that had come from the primary by then is in it; by the clock of the machine that streams. */
  readonly at: Instant;
}

/** Two tails of the same cluster as one: of a segment that both have, what goes further. */
export function mergedTail(one: WalTail | undefined, other: WalTail | undefined): WalTail | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  if (one.systemIdentifier !== other.systemIdentifier || one.segmentSizeBytes !== other.segmentSizeBytes) return one;
  const best = new Map<string, TailSegment>();
  for (const segment of [...one.segments, ...other.segments]) {
    const key = `${segment.timeline}/${segment.segmentNumber}`;
    const before = best.get(key);
    if (before === undefined || goesFurther(segment, before)) best.set(key, segment);
  }
  const known = new Set(one.histories.map(({ timeline }) => timeline));
  return {
    ...one,
    segments: [...best.values()].toSorted(bySegment),
    histories: [...one.histories, ...other.histories.filter(({ timeline }) => !known.has(timeline))],
    at: one.at > other.at ? one.at : other.at,
  };
}

function goesFurther(segment: TailSegment, than: TailSegment): boolean {
  if (than.endLsn === undefined) return false;
  return segment.endLsn === undefined || segment.endLsn > than.endLsn;
}

function bySegment(left: TailSegment, right: TailSegment): number {
  return (
    left.timeline - right.timeline || (left.segmentNumber < right.segmentNumber ? -1 : left.segmentNumber > right.segmentNumber ? 1 : 0)
  );
}
