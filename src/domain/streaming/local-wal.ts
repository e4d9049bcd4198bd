import type { Lsn } from '../postgres/lsn.ts';
import type { SystemIdentifier } from '../postgres/system-identifier.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { TimelineHistory } from '../postgres/timeline-history.ts';
import type { Instant } from '../time/instant.ts';
import type { TailKey } from './layout.ts';

/** A segment that is being received, or has been. */
export interface LocalSegment {
  /** Of the segment, without `.partial`. */
  readonly name: string;
  readonly timeline: TimelineId;
  readonly segmentNumber: bigint;
  readonly isWhole: boolean;
  /** Whole pages that have been written, from its beginning on. */
  readonly writtenBytes: number;
  /** The end of the last record in it, exclusive. */
  readonly endLsn: Lsn;
  readonly lastRecordLsn?: Lsn;
  /** When something was last written to it. */
  readonly writtenAt: Instant;
}

/** What has been received of a cluster's WAL and is still here, by timeline, then segment. */
export interface LocalWal {
  /** When it was looked at. */
  readonly at: Instant;
  /** Both absent where nothing is here. */
  readonly systemIdentifier?: SystemIdentifier;
  readonly segmentSizeBytes?: number;
  readonly segments: readonly LocalSegment[];
  readonly histories: readonly TimelineHistory[];
}

/** An object of a tail in a repository. */
export interface TailObject extends TailKey {
  readonly key: string;
  /** By the repository's clock. */
  readonly modifiedAt: Instant;
}

/** What a repository is told of the tail that it holds. */
export interface TailNews {
  readonly systemIdentifier: SystemIdentifier;
  readonly segmentSizeBytes: number;
  /** The newest segment, and how far its records go; what lies before it is whole, there or in the archive. */
  readonly newest: LocalSegment;
  /** Everything that had been received by then is there, or in the archive. */
  readonly at: Instant;
  /** Of the newest segment's timeline; absent of timeline 1. */
  readonly history?: TimelineHistory;
}
