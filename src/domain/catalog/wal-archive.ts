import type { TimelineHistory } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { Instant } from '../time/instant.ts';

/** A run of archived segments of one timeline without a hole. Numbers are segment numbers (LSN / segment size). */
export interface WalRange {
  readonly timeline: TimelineId;
  readonly firstSegment: bigint;
  /** Inclusive. */
  readonly lastSegment: bigint;
  /** When the last segment reached the repository, by the repository's clock; absent where it tells none. */
  readonly lastArchivedAt?: Instant;
}

/** What a repository's WAL archive really holds, as it was listed. */
export interface WalArchive {
  readonly segmentSizeBytes: number;
  /** Sorted by timeline, then segment; ranges of one timeline neither touch nor overlap. */
  readonly ranges: readonly WalRange[];
  /** Of every `.history` file found, sorted by timeline. */
  readonly histories: readonly TimelineHistory[];
}
