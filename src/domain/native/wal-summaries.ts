import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import type { TimelineId } from '../postgres/timeline.ts';

/** One file of pg_wal/summaries: which blocks the WAL between both positions changes. */
export interface WalSummary {
  readonly timeline: TimelineId;
  readonly startLsn: Lsn;
  readonly endLsn: Lsn;
}

/** How far a server's WAL summarizer is (pg_get_wal_summarizer_state). */
export interface SummarizerState {
  readonly timeline: TimelineId;
  /** On disk up to here. */
  readonly summarizedLsn: Lsn;
}

/** What a server of PostgreSQL 17 or later can say of the WAL that it has summarized. */
export interface SummaryFacts {
  /** Only those that end after the position that was asked for. */
  readonly summaries: readonly WalSummary[];
  /** Absent where no summarizer runs. */
  readonly summarizer?: SummarizerState;
}

/**
 * Why the blocks that WAL of `timeline` has changed since `sinceLsn` cannot be told; undefined where they can, as far as the summarizer has
 * come. PostgreSQL itself waits for the rest and checks the whole again when the backup begins (PrepareForIncrementalBackup).
 */
export function reasonSummariesFallShort({ summaries, summarizer }: SummaryFacts, timeline: TimelineId, sinceLsn: Lsn): string | undefined {
  if (summarizer === undefined) return 'the WAL summarizer does not run';
  if (summarizer.timeline !== timeline) return `the WAL summarizer is still on timeline ${summarizer.timeline}`;
  const reachedLsn = coveredUpTo(summaries, timeline, sinceLsn);
  if (reachedLsn >= summarizer.summarizedLsn) return undefined;
  return `WAL summaries are missing from ${formatLsn(reachedLsn)} on, and ${formatLsn(sinceLsn)} to ${formatLsn(summarizer.summarizedLsn)} is needed`;
}

/** How far summaries of a timeline reach from a position without a gap; that position itself where none covers it. */
export function coveredUpTo(summaries: readonly WalSummary[], timeline: TimelineId, sinceLsn: Lsn): Lsn {
  const ordered = summaries
    .filter((summary) => summary.timeline === timeline)
    .sort((one, other) => (one.startLsn < other.startLsn ? -1 : one.startLsn > other.startLsn ? 1 : 0));
  let reachedLsn = sinceLsn;
  for (const { startLsn, endLsn } of ordered) {
    if (startLsn > reachedLsn) break;
    if (endLsn > reachedLsn) reachedLsn = endLsn;
  }
  return reachedLsn;
}
