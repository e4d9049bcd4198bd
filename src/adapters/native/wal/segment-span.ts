import type { TimelineId } from '../../../domain/postgres/timeline.ts';

/** Whole segments of one timeline, both ends included. */
export interface SegmentSpan {
  readonly timeline: TimelineId;
  readonly firstSegment: bigint;
  readonly lastSegment: bigint;
  readonly segmentBytes: number;
}
