import type { RetryClass } from '../../errors.ts';
import type { BackupType, RepositoryName } from '../catalog/base-backup.ts';
import type { Instant } from '../time/instant.ts';
import type { ScheduleKind } from './schedule.ts';
import type { RunTrigger } from './trigger.ts';

/** A run that has been begun, as its journal tells. */
export interface PastRun {
  readonly runId: string;
  readonly kind: ScheduleKind;
  /** Of backups only. */
  readonly type?: BackupType;
  readonly repositories: readonly RepositoryName[];
  readonly trigger: RunTrigger;
  readonly startedAt: Instant;
  /** How often it was begun or resumed; at least 1. */
  readonly attempts: number;
  readonly state: RunState;
}

export type RunState =
  | { readonly kind: 'running' }
  /** Its process died, or was asked to end before the work was done: to be resumed. */
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'succeeded'; readonly endedAt: Instant }
  /** Somebody stopped it on purpose: not begun again before its next occurrence. */
  | { readonly kind: 'cancelled'; readonly endedAt: Instant }
  | { readonly kind: 'failed'; readonly endedAt: Instant; readonly code: string; readonly retry: RetryClass };

/** Its work is done, or nobody wants it any more. */
export function isDone({ state }: PastRun): boolean {
  return state.kind === 'succeeded' || state.kind === 'cancelled';
}

const STRENGTH: Readonly<Record<BackupType, number>> = { incr: 0, diff: 1, full: 2 };

/** Whether a backup of the one type does all that one of the other would have done. */
export function isAtLeast(type: BackupType | undefined, wanted: BackupType | undefined): boolean {
  return type !== undefined && wanted !== undefined && STRENGTH[type] >= STRENGTH[wanted];
}
