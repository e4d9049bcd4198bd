/** A timeline id as PostgreSQL counts them: 1, 2, 3 … (32 bits, never 0). */
export type TimelineId = number & { readonly __brand: 'TimelineId' };

/** Makes a timeline id. Throws RangeError outside 1 … 2^32-1. */
export function timelineIdOf(value: number): TimelineId {
  if (!Number.isInteger(value) || value < 1 || value > 0xffff_ffff) throw new RangeError(`not a timeline id: ${value}`);
  return value as TimelineId;
}

/** Eight hexadecimal digits, as in WAL and history file names. */
export function formatTimelineHex(timeline: TimelineId): string {
  return timeline.toString(16).toUpperCase().padStart(8, '0');
}
