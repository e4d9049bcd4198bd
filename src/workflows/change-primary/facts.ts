import type { SetupStep } from '../../plan/setup-steps.ts';
import type { Topology } from '../../domain/topology/topology.ts';

/** A text as it is to be: while the old primary is away, and once it is a standby. */
export interface TextsAfter<T> {
  readonly without: T;
  readonly with: T;
}

/** A PgBouncer as it is, and what its configuration is to say. */
export interface BouncerToChange {
  readonly name: string;
  readonly configFile: string;
  readonly pauseTimeoutMs: number;
  /** Those whose clients write, or read from the old primary. */
  readonly databases: readonly string[];
  readonly paused: readonly string[];
  /** What its file says, as far as PgBouncer has read it; empty where it goes by something else still. */
  readonly present: string;
  /** Whoever wrote its file, which is as it is wanted, died before PgBouncer was told to read it. */
  readonly isUnread?: boolean;
  readonly wanted: TextsAfter<string>;
  /** Whose clients come to another server than their database is meant for, or to another kind of it. */
  readonly warnings: readonly string[];
  /** Why its console cannot be asked. */
  readonly unreachable?: string;
}

export interface EndpointsText {
  readonly text: string;
  readonly values: Readonly<Record<string, string>>;
  readonly isCurrent: boolean;
}

export interface EndpointsToChange {
  readonly file: string;
  readonly hook: readonly string[] | undefined;
  readonly wanted: TextsAfter<EndpointsText>;
}

/** What stands between clients and the servers. */
export interface FrontFacts {
  readonly bouncers: readonly BouncerToChange[];
  readonly endpoints?: EndpointsToChange;
}

/** Everything that planning looks at. Read anew whenever the run goes on. */
export interface ChangePrimaryFacts extends FrontFacts {
  readonly topology: Topology;
  /** For how long a server may take to stop, to catch up or to be promoted (failover.timeoutSeconds). */
  readonly limitMs: number;
  /** By node: the settings with which it follows the new primary; absent where its data directory is not known. */
  readonly follow: ReadonlyMap<string, Readonly<Record<string, string>>>;
  /** Nodes whose primary_conninfo leads to the new primary already. */
  readonly following: ReadonlySet<string>;
  /** By node: what it lacks to connect to another primary. */
  readonly passfiles: ReadonlyMap<string, Extract<SetupStep, { kind: 'write-passfile' }>>;
  /** By the journal: whether somebody may have been asked to become the primary already. */
  readonly mayHavePromoted?: boolean;
  /** By the journal: who took whose place as the one that has most, in their order. */
  readonly chosen?: readonly string[];
}
