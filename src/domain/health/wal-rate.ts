import { secondsBetween } from '../time/instant.ts';
import type { ArchiveFacts } from './archive-facts.ts';
import { walBytesPerSecond } from './slot-forecast.ts';

const SHORTEST_SPAN_SECONDS = 60;

/** How fast WAL is written: since the first look, and where there was none, since the newest backup began. Undefined where nothing tells. */
export function walRateOf(facts: ArchiveFacts): number | undefined {
  const measured = walBytesPerSecond(facts);
  const { primary, snapshots } = facts;
  if (measured !== undefined || primary === undefined) return measured;
  const rates = snapshots
    .flatMap(({ backups }) => backups)
    .filter(({ systemIdentifier, timeline }) => systemIdentifier === primary.systemIdentifier && timeline === primary.timeline)
    .toSorted((left, right) => Number(right.startTime - left.startTime))
    .map(({ startTime, startLsn }) => ({ seconds: secondsBetween(startTime, primary.serverTime), bytes: primary.insertLsn - startLsn }))
    .filter(({ seconds, bytes }) => seconds >= SHORTEST_SPAN_SECONDS && bytes > 0n)
    .map(({ seconds, bytes }) => Number(bytes) / seconds);
  return rates[0];
}
