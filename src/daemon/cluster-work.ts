import type { DueRun } from '../domain/schedule/due-run.ts';
import type { ScheduleFacts } from '../domain/schedule/decide.ts';
import type { FirstSeen, Schedule } from '../domain/schedule/schedule.ts';
import type { RunOutcome } from '../ports/run-store.ts';

/** What is observed before it is decided what is due; the rest the actor knows itself. */
export type ObservedFacts = Omit<ScheduleFacts, 'cluster' | 'schedules' | 'firstSeen' | 'now'>;

/** How a run came out. */
export interface RunEnd {
  readonly runId: string;
  readonly outcome: RunOutcome;
  /** Of the error that ended it, or of the first step that failed. */
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string };
}

/** The right to act on a cluster, held by one daemon at a time. */
export interface Tenure {
  /** Aborted once another may have it. */
  readonly lost: AbortSignal;
  /** Throws LEASE_LOST where nothing more may be begun. */
  ensureGood(): void;
  release(): Promise<void>;
}

/** One cluster as its actor sees it. */
export interface ClusterWork {
  readonly cluster: string;
  readonly schedules: readonly Schedule[];
  /** What its runs put load on: runs of one host are bounded together. */
  readonly host: string;
  /** Brings on the WAL that waits on this machine, whoever is in office, until the signal aborts. Never throws. */
  shipWal(signal: AbortSignal): Promise<void>;
  /** Waits until no other daemon acts on the cluster. */
  takeOffice(signal: AbortSignal): Promise<Tenure>;
  /** Once after each `takeOffice`, before anything is decided. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Looks after the cluster's WAL until the signal aborts; `wake` when that makes something due. Never throws. */
  watch(signal: AbortSignal, wake: () => void): Promise<void>;
  observe(signal: AbortSignal): Promise<ObservedFacts>;
  /** Never throws: what went wrong is in the end of the run. */
  execute(run: DueRun, signal: AbortSignal): Promise<RunEnd>;
  loadFirstSeen(): Promise<FirstSeen>;
  saveFirstSeen(firstSeen: FirstSeen): Promise<void>;
}
