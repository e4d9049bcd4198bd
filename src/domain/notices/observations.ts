import { formatDuration } from '../time/duration.ts';
import { formatInstantUtc, type Instant } from '../time/instant.ts';
import type { Observation } from './notice.ts';

/** How a run ended, as far as notices go. */
export interface EndedRun {
  readonly cluster: string;
  /** What was run, for people: `backup daily-full`. The same each time. */
  readonly job: string;
  readonly runId: string;
  readonly outcome: 'succeeded' | 'failed' | 'cancelled';
  /** Of the error that ended it. */
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string };
}

/** A success also says that the job is no longer missed. Nothing is said of a run that somebody cancelled. */
export function observationsOfRun({ cluster, job, runId, outcome, error }: EndedRun): readonly Observation[] {
  if (outcome === 'cancelled') return [];
  const base = { cluster, topic: 'run', subject: job, runId } as const;
  const next = `spoke-backup runs show ${runId} --cluster ${cluster}`;
  if (outcome === 'succeeded') {
    const well = { ...base, state: 'well', cause: `run ${runId} succeeded`, next } as const;
    return [well, { ...well, topic: 'missed-run' }];
  }
  const { code, message, hint } = error ?? { code: undefined, message: `run ${runId} failed`, hint: next };
  return [{ ...base, state: 'failing', cause: message, next: hint, ...(code === undefined ? {} : { code }) }];
}

/** Runs that were due and did not begin. */
export interface MissedRuns {
  readonly cluster: string;
  readonly job: string;
  /** When the newest of them was due. */
  readonly due: Instant;
  readonly count: number;
  readonly why: string;
}

/** Until the job has succeeded again. */
export function observationOfMissedRuns({ cluster, job, due, count, why }: MissedRuns): Observation {
  const runs = count === 1 ? 'The run' : `${count} runs, the newest`;
  const cause = `${runs} due at ${formatInstantUtc(due, { fraction: 'none' })} did not begin: ${why}`;
  return { cluster, topic: 'missed-run', subject: job, state: 'failing', cause, next: `spoke-backup runs --cluster ${cluster}` };
}

/** How much would be lost if the primary were lost now, beside what was promised. */
export interface ExposureAgainstObjective {
  readonly cluster: string;
  readonly exposureSeconds: number;
  readonly objectiveSeconds: number;
}

export function observationOfExposure({ cluster, exposureSeconds, objectiveSeconds }: ExposureAgainstObjective): Observation {
  return {
    ...{ cluster, topic: 'rpo', subject: 'recovery point objective', next: `spoke-backup status --cluster ${cluster}` },
    state: exposureSeconds > objectiveSeconds ? 'failing' : 'well',
    cause: `What was committed in the last ${formatDuration(exposureSeconds)} is in no repository; the objective is ${formatDuration(objectiveSeconds)}.`,
  };
}

/** How a drill ended. */
export interface EndedDrill {
  readonly cluster: string;
  readonly runId: string;
  /** For people: what was restored, how long it took, what was checked; or what failed. */
  readonly summary: string;
  readonly passed: boolean;
  readonly code?: string;
}

/** Said in any case: that a restore was proven is worth reading, too. */
export function observationOfDrill({ cluster, runId, summary, passed, code }: EndedDrill): Observation {
  return {
    ...{ cluster, topic: 'drill', subject: 'restore drill', runId, cause: summary, isResult: true },
    state: passed ? 'well' : 'failing',
    next: `spoke-backup runs show ${runId} --cluster ${cluster}`,
    ...(code === undefined ? {} : { code }),
  };
}
