import { formatLsn, isLsnText, type Lsn, parseLsn } from '../../domain/postgres/lsn.ts';
import { parseSystemIdentifier, type SystemIdentifier } from '../../domain/postgres/system-identifier.ts';
import { formatTimelineHistory, parseTimelineHistory, type TimelineHistory } from '../../domain/postgres/timeline-history.ts';
import { parseWalSegmentName } from '../../domain/postgres/wal-segment.ts';
import type { TailNews } from '../../domain/streaming/local-wal.ts';
import { type Instant, instantOfMicros } from '../../domain/time/instant.ts';

/** What `tail.json` says. */
export interface ReadNews {
  readonly systemIdentifier: SystemIdentifier;
  readonly segmentSizeBytes: number;
  readonly segment: string;
  readonly isWhole: boolean;
  readonly endLsn: Lsn;
  readonly lastRecordLsn?: Lsn;
  readonly at: Instant;
  readonly history?: TimelineHistory;
}

/** The text of `tail.json`. */
export function formatNews({ systemIdentifier, segmentSizeBytes, newest, at, history }: TailNews): string {
  const text = {
    schema: 1,
    systemIdentifier: String(systemIdentifier),
    segmentSizeBytes,
    segment: newest.name,
    isWhole: newest.isWhole,
    endLsn: formatLsn(newest.endLsn),
    lastRecordLsn: newest.lastRecordLsn === undefined ? null : formatLsn(newest.lastRecordLsn),
    atMicros: String(at),
    history: history === undefined ? null : formatTimelineHistory(history),
  };
  return `${JSON.stringify(text)}\n`;
}

/** Undefined for what is no news, or of a later layout. */
export function parseNews(text: string): ReadNews | undefined {
  try {
    const value = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const { schema, segment, segmentSizeBytes, isWhole, lastRecordLsn, history } = value;
    if (schema !== 1 || typeof segment !== 'string' || typeof segmentSizeBytes !== 'number') return undefined;
    const { timeline } = parseWalSegmentName(segment, segmentSizeBytes);
    return {
      systemIdentifier: parseSystemIdentifier(String(value['systemIdentifier'])),
      segmentSizeBytes,
      segment,
      isWhole: isWhole === true,
      endLsn: parseLsn(String(value['endLsn'])),
      ...(typeof lastRecordLsn === 'string' && isLsnText(lastRecordLsn) ? { lastRecordLsn: parseLsn(lastRecordLsn) } : {}),
      at: instantOfMicros(BigInt(String(value['atMicros']))),
      ...(typeof history === 'string' ? { history: parseTimelineHistory(history, timeline) } : {}),
    };
  } catch {
    return undefined;
  }
}
