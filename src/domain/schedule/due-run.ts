import type { BackupType, RepositoryName } from '../catalog/base-backup.ts';
import type { Instant } from '../time/instant.ts';
import type { ScheduleKind } from './schedule.ts';
import type { RunTrigger } from './trigger.ts';

/** A run to be begun. */
export interface DueRun {
  readonly kind: ScheduleKind;
  /** Of backups only. */
  readonly type?: BackupType;
  /** One; several where one backup goes into all of them; all of its schedule for a drill. */
  readonly repositories: readonly RepositoryName[];
  readonly trigger: RunTrigger;
  /** Why it is due now, as a sentence without its full stop. */
  readonly reason: string;
  /** When it is to be ended, by a clock that does not jump. */
  readonly maximumRunSeconds?: number;
  /** The run to go on with, in place of a new one: it has failed or was interrupted. */
  readonly resumes?: { readonly runId: string; readonly startedAt: Instant };
}

/** A run that is due and waits. */
export interface HeldRun {
  readonly run: DueRun;
  readonly why: string;
  /** Absent where it is not tried again before its next occurrence. */
  readonly until?: Instant;
}

/** What was due and gets no run of its own. */
export interface PassedOver {
  readonly schedule: string;
  readonly repository?: RepositoryName;
  /** The newest of them. */
  readonly occurrence: Instant;
  /** How many; 1000 stands for as many or more. */
  readonly count: number;
  readonly reason: string;
}

/** What becomes of one thing that can be due: a schedule in one repository, say. */
export interface Consideration {
  readonly due?: DueRun;
  readonly held?: HeldRun;
  readonly passedOver?: readonly PassedOver[];
  /** When to look again, whatever else happens. */
  readonly wakeAt?: Instant | undefined;
}
