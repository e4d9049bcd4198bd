import { formatTimelineHex, type TimelineId, timelineIdOf } from '../postgres/timeline.ts';
import { isWalSegmentName } from '../postgres/wal-segment.ts';

/** The keys of a tail, below the place in a repository that belongs to no engine. docs/streaming.md describes them for people. */
export const TAIL_PREFIX = 'tail/';

/** Of which segment a key is, and whether it is there as a whole. */
export interface TailKey {
  readonly segment: string;
  readonly timeline: TimelineId;
  readonly isWhole: boolean;
}

/** What the tail of a timeline says of itself. */
export function tailNewsKey(timeline: TimelineId): string {
  return `${TAIL_PREFIX}${formatTimelineHex(timeline)}/tail.json`;
}

/** `suffix`: how it is stored, for example `.zst.age`. Of a segment that is not there as a whole the name says so, as PostgreSQL's own do. */
export function tailKey(segment: string, isWhole: boolean, suffix: string): string {
  return `${TAIL_PREFIX}${segment.slice(0, 8)}/${segment}${isWhole ? '' : '.partial'}${suffix}`;
}

/** Undefined for any other key. */
export function parseTailKey(key: string): TailKey | undefined {
  const [, folder, segment, partial] = /^tail\/([0-9A-F]{8})\/([0-9A-F]{24})(\.partial)?(?:\.[a-z0-9]+)+$/.exec(key) ?? [];
  if (folder === undefined || segment === undefined || !isWalSegmentName(segment)) return undefined;
  if (!segment.startsWith(folder) || folder === '00000000') return undefined;
  return { segment, timeline: timelineIdOf(Number.parseInt(folder, 16)), isWhole: partial === undefined };
}
