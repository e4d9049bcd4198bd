import type { BaseBackup } from '../catalog/base-backup.ts';
import type { WalArchive, WalRange } from '../catalog/wal-archive.ts';
import { segmentNumberBefore, segmentNumberOf } from '../postgres/wal-segment.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { WalDecision } from './policy.ts';

/** From where on all WAL is kept, and which older backups keep theirs. */
export interface WalRetention {
  readonly floor: BaseBackup;
  /** Kept although older than the floor, for example by a pin: from their beginning to their end. */
  readonly islands: readonly BaseBackup[];
}

interface Interval {
  readonly timeline: TimelineId;
  readonly first: bigint;
  readonly last: bigint;
  readonly label: string;
}

/** All of it stays, for one reason. */
export function keepAllWal(archive: WalArchive | undefined, why: Pick<WalDecision, 'rule' | 'reason'>): readonly WalDecision[] {
  return (archive?.ranges ?? []).map((range) => ({ ...range, decision: 'keep', ...why }));
}

/**
 * Cuts the ranges of an archive where the decision changes. By pgBackRest's order, which is that of the names: the timeline
 * counts before the position.
 */
export function retainWal(archive: WalArchive, { floor, islands }: WalRetention): readonly WalDecision[] {
  const size = archive.segmentSizeBytes;
  const first = segmentNumberOf(floor.startLsn, size);
  const kept = { rule: 'needed', reason: `recovery from ${floor.label} to any later instant` } as const;
  const gone = { rule: 'past-window', reason: `older than ${floor.label}, the oldest backup whose WAL is kept` } as const;
  const intervals = mergedIntervals(islands, size);
  const decisions: WalDecision[] = [];
  for (const range of archive.ranges) {
    if (isFrom(range.timeline, range.firstSegment, floor.timeline, first)) {
      decisions.push({ ...range, decision: 'keep', ...kept });
      continue;
    }
    const cut = range.timeline === floor.timeline && range.lastSegment >= first ? first : range.lastSegment + 1n;
    cutAtIslands(part(range, range.firstSegment, cut - 1n), intervals.get(range.timeline) ?? [], gone, decisions);
    if (cut <= range.lastSegment) decisions.push({ ...part(range, cut, range.lastSegment), decision: 'keep', ...kept });
  }
  return decisions;
}

/** The segments that make a backup consistent. */
function intervalOf({ label, timeline, startLsn, stopLsn }: BaseBackup, sizeBytes: number): Interval {
  const first = segmentNumberOf(startLsn, sizeBytes);
  const last = segmentNumberBefore(stopLsn, sizeBytes);
  return { timeline, first, last: last < first ? first : last, label };
}

/** Of each timeline in order; those that overlap or touch are one, under the names of all. */
function mergedIntervals(backups: readonly BaseBackup[], sizeBytes: number): ReadonlyMap<TimelineId, readonly Interval[]> {
  const sorted = backups
    .map((backup) => intervalOf(backup, sizeBytes))
    .sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const merged = new Map<TimelineId, Interval[]>();
  for (const interval of sorted) {
    const list = merged.get(interval.timeline) ?? [];
    merged.set(interval.timeline, list);
    const before = list.at(-1);
    if (before === undefined || interval.first > before.last + 1n) list.push(interval);
    else
      list[list.length - 1] = {
        ...before,
        last: interval.last > before.last ? interval.last : before.last,
        label: `${before.label}, ${interval.label}`,
      };
  }
  return merged;
}

/** What of `range` lies in one of the intervals is kept, the rest goes. */
function cutAtIslands(
  range: WalRange,
  intervals: readonly Interval[],
  gone: Pick<WalDecision, 'rule' | 'reason'>,
  into: WalDecision[],
): void {
  let from = range.firstSegment;
  for (let index = firstEndingAtOrAfter(intervals, from); index < intervals.length; index += 1) {
    const interval = intervals[index];
    if (interval === undefined || interval.first > range.lastSegment) break;
    const first = interval.first > from ? interval.first : from;
    const last = interval.last < range.lastSegment ? interval.last : range.lastSegment;
    if (first > from) into.push({ ...part(range, from, first - 1n), decision: 'expire', ...gone });
    into.push({ ...part(range, first, last), decision: 'keep', rule: 'pin-needs', reason: `makes ${interval.label} consistent` });
    from = last + 1n;
  }
  if (from <= range.lastSegment) into.push({ ...part(range, from, range.lastSegment), decision: 'expire', ...gone });
}

function firstEndingAtOrAfter(intervals: readonly Interval[], segment: bigint): number {
  let [low, high] = [0, intervals.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((intervals[middle]?.last ?? segment) < segment) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** When its last segment came is known of the end of a range alone. */
function part(range: WalRange, firstSegment: bigint, lastSegment: bigint): WalRange {
  if (firstSegment === range.firstSegment && lastSegment === range.lastSegment) return range;
  const { timeline, lastArchivedAt } = range;
  const cut = { timeline, firstSegment, lastSegment };
  return lastSegment === range.lastSegment && lastArchivedAt !== undefined ? { ...cut, lastArchivedAt } : cut;
}

/** Whether a segment is that one or comes after it in the order of names. */
export function isFrom(timeline: TimelineId, segment: bigint, fromTimeline: TimelineId, fromSegment: bigint): boolean {
  return timeline > fromTimeline || (timeline === fromTimeline && segment >= fromSegment);
}
