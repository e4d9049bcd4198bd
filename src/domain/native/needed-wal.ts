import { formatTimelineHex } from '../postgres/timeline.ts';
import { classifyWalFile, segmentNumberBefore, segmentNumberOf, walSegmentName } from '../postgres/wal-segment.ts';
import type { BackupRecord } from './backup-record.ts';

type NeedingWal = Pick<BackupRecord, 'timeline' | 'startLsn' | 'stopLsn' | 'walSegmentBytes'>;

/** The backups of a repository, parted at the full one from which on all WAL stays. */
export interface WalNeeds {
  readonly older: readonly NeedingWal[];
  readonly fromFloor: readonly NeedingWal[];
}

const TIMELINE_DIGITS = formatTimelineHex(1 as never).length;
const SEGMENT_DIGITS = 24;

/**
 * Whether a file of the WAL archive stays. By the order of names, in which the timeline counts before the position, everything stays from the
 * beginning of any backup on that is not older than the floor; of older ones what makes them consistent. Histories always stay.
 */
export function keepsWalFile(name: string, { older, fromFloor }: WalNeeds): boolean {
  const kind = classifyWalFile(name);
  if (kind === 'history' || kind === 'other') return true;
  const segment = name.slice(0, SEGMENT_DIGITS);
  if (fromFloor.some((backup) => segment >= firstSegmentOf(backup))) return true;
  return older.some((backup) => isOfTimeline(segment, backup) && segment >= firstSegmentOf(backup) && segment <= lastSegmentOf(backup));
}

function isOfTimeline(segment: string, { timeline }: NeedingWal): boolean {
  return segment.slice(0, TIMELINE_DIGITS) === formatTimelineHex(timeline);
}

function firstSegmentOf({ timeline, startLsn, walSegmentBytes }: NeedingWal): string {
  return walSegmentName(timeline, segmentNumberOf(startLsn, walSegmentBytes), walSegmentBytes);
}

function lastSegmentOf({ timeline, startLsn, stopLsn, walSegmentBytes }: NeedingWal): string {
  const [first, last] = [segmentNumberOf(startLsn, walSegmentBytes), segmentNumberBefore(stopLsn, walSegmentBytes)];
  return walSegmentName(timeline, last < first ? first : last, walSegmentBytes);
}
