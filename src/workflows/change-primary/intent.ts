import type { Fence, HeldServer } from '../../plan/change-primary-steps.ts';
import type { LostWalReport } from '../failover/lost.ts';

/** What a switchover is for. Plain JSON. */
export interface SwitchoverIntent {
  readonly verb: 'switchover';
  /** Its own run: whether it has begun to promote is in the journal. */
  readonly run: string;
  /** Whether a backup on the new timeline follows, as a run of its own. */
  readonly thenBackup: boolean;
  readonly cluster: string;
  readonly systemIdentifier: string;
  /** That which ends with the promotion. */
  readonly timeline: number;
  readonly to: string;
  /** The old primary, which becomes a standby. */
  readonly from: HeldServer;
}

/** What a failover is for. Plain JSON. */
export interface FailoverIntent {
  readonly verb: 'failover';
  readonly run: string;
  /** Whether a backup on the new timeline follows, as a run of its own. */
  readonly thenBackup: boolean;
  readonly cluster: string;
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** Where nobody named it, one that is seen to have more after the fences takes its place (failover/candidate). */
  readonly to: string;
  /** Whether the operator named it (--to). */
  readonly isNamed: boolean;
  /** How each node that may be a primary is kept from being one; what is stopped on its host is stopped by the run. */
  readonly fences: readonly Fence[];
  /** As it was confirmed, before the fences. */
  readonly lost: LostWalReport;
}

export type ChangePrimaryIntent = SwitchoverIntent | FailoverIntent;

/** Its intent with whoever was chosen last after the fences. */
export function withChosen<T extends ChangePrimaryIntent>(intent: T, chosen: readonly string[] = []): T {
  const to = chosen.at(-1);
  return to === undefined ? intent : { ...intent, to };
}

/** The id of the step that tells what is lost, after the fences. */
export const COMPARISON = 'compare-candidates';

/** The id of the step after whose beginning nothing leads back. */
export const PROMOTION = 'promote-standby';
