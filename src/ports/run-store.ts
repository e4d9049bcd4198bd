import type { RunTrigger } from '../domain/schedule/trigger.ts';
import type { Instant } from '../domain/time/instant.ts';

/** For example `20261122T211628Z-restore-k3f9`: sorts by time, is a file name, is unique. */
export type RunId = string & { readonly __brand: 'RunId' };

export type RunVerb = 'backup' | 'restore' | 'setup-archiving' | 'expire' | 'pin' | 'verify';

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

export interface RunReader {
  /** Newest first. */
  list(): Promise<readonly StoredRun[]>;
  /** Throws RUN_NOT_FOUND. */
  read(runId: RunId): Promise<StoredRun>;
}

export interface RunWriter {
  /** Durable when it resolves. */
  create(header: RunHeader): Promise<void>;
  /** Durable when it resolves. */
  append(runId: RunId, entry: JournalEntry): Promise<void>;
}
