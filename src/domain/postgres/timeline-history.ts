import type { Lsn } from './lsn.ts';
import type { TimelineId } from './timeline.ts';

/** One line of a timeline history file: `timeline` ended at `switchLsn`, where its child begins. */
export interface TimelineFork {
  readonly timeline: TimelineId;
  readonly switchLsn: Lsn;
  readonly reason: string;
}

/** The ancestry of `timeline`, oldest first, as in its `.history` file. Timeline 1 has no file and no ancestors. */
export interface TimelineHistory {
  readonly timeline: TimelineId;
  readonly ancestors: readonly TimelineFork[];
}
