import type { RunTrigger } from '../domain/schedule/trigger.ts';
import type { Instant } from '../domain/time/instant.ts';

/** For example `20261122T211628Z-restore-k3f9`: sorts by time, is a file name, is unique. */
export type RunId = string & { readonly __brand: 'RunId' };

export type RunVerb =
  | 'backup'
  | 'restore'
  | 'setup'
  | 'setup-archiving'
  | 'expire'
  | 'pin'
  | 'verify'
  | 'reseed'
  | 'switchover'
  | 'failover';

/** What a run is for; written before its first step and never changed. `intent` is the workflow's own, plain JSON. */
export interface RunHeader {
  readonly runId: RunId;
  readonly verb: RunVerb;
  readonly cluster: string;
  readonly startedAt: Instant;
  readonly host: string;
  readonly user: string;
  readonly programVersion: string;
  readonly trigger: RunTrigger;
  readonly intent: unknown;
}

/** One line of a run's journal. */
export type JournalEntry =
  | { readonly at: Instant; readonly kind: 'attempt'; readonly pid: number; readonly detail: unknown }
  | { readonly at: Instant; readonly kind: 'step-started'; readonly step: string; readonly detail: unknown }
  | { readonly at: Instant; readonly kind: 'step-finished'; readonly step: string; readonly seconds: number; readonly result: unknown }
  | {
      readonly at: Instant;
      readonly kind: 'step-failed';
      readonly step: string;
      readonly code: string;
      readonly message: string;
      readonly details?: unknown;
    }
  | { readonly at: Instant; readonly kind: 'note'; readonly message: string; readonly detail: unknown }
  | { readonly at: Instant; readonly kind: 'run-finished'; readonly outcome: RunOutcome; readonly result: unknown };

export type RunOutcome = 'succeeded' | 'failed' | 'cancelled';

export interface StoredRun {
  readonly header: RunHeader;
  readonly entries: readonly JournalEntry[];
}

/** Which runs are meant. Their ids tell verb and time: what is not meant is not opened. */
export interface RunFilter {
  readonly verbs?: readonly RunVerb[];
  /** To the second, as ids have it. */
  readonly startedSince?: Instant;
  readonly cluster?: string;
  /** The newest so many of those that are meant. */
  readonly limit?: number;
}

/** A run that is there and cannot be read. */
export interface DamagedRun {
  readonly runId: RunId;
  readonly reason: string;
}

export interface RunReader {
  /** Newest first. Leaves out what cannot be read. */
  list(filter?: RunFilter): Promise<readonly StoredRun[]>;
  /** Newest first, by name alone: also of runs that cannot be read. */
  listIds(filter?: Pick<RunFilter, 'verbs' | 'startedSince'>): Promise<readonly RunId[]>;
  /** Among the newest so many. */
  listDamaged(options?: { readonly among?: number }): Promise<readonly DamagedRun[]>;
  /** Throws RUN_NOT_FOUND. */
  read(runId: RunId): Promise<StoredRun>;
  /** Whether somebody wants the run to end: whoever runs several runs in one process looks here, since no signal tells which is meant. */
  isCancelRequested(runId: RunId): Promise<boolean>;
}

export interface RunWriter {
  /** Durable when it resolves. */
  create(header: RunHeader): Promise<void>;
  /** Durable when it resolves. */
  append(runId: RunId, entry: JournalEntry): Promise<void>;
  /** Forgets runs: each is gone at once, or not at all. */
  remove(runIds: readonly RunId[]): Promise<void>;
  /** Takes a run that cannot be read out of the history, and keeps its files. Resolves with where they are now. */
  setAside(runId: RunId): Promise<string>;
  /** Asks for the end of a run, or takes that back. */
  requestCancel(runId: RunId, wanted: boolean): Promise<void>;
}

/** A process that works on a run. */
export interface RunProcess {
  readonly pid: number;
  readonly host: string;
  /** `elsewhere`: on another host or in another container, where it cannot be told from here whether it lives. */
  readonly place: 'here' | 'elsewhere';
  /** It runs other runs, too: a signal would end them all. */
  readonly isService: boolean;
}

/** The processes that hold the leases of runs. */
export interface RunProcesses {
  /** Undefined where nobody works on the run. */
  find(runId: RunId): Promise<RunProcess | undefined>;
  /** Sends SIGTERM, after another look that it is that very process and no later one with its pid; false where it is gone. Throws REFUSED_PRECONDITION where it is another user's. */
  terminate(runId: RunId): Promise<boolean>;
}
