import type { OperationContext } from './operation.ts';

/** A database as PgBouncer offers it (SHOW DATABASES). */
export interface BouncerDatabaseState {
  readonly name: string;
  /** Several, where it has a list, between commas; absent for the admin console itself. */
  readonly host?: string;
  readonly port: number;
  readonly paused: boolean;
  readonly disabled: boolean;
}

/** SHOW POOLS. */
export interface BouncerPool {
  readonly database: string;
  readonly user: string;
  readonly clientsActive: number;
  /** Clients that wait for a server. */
  readonly clientsWaiting: number;
  readonly serversActive: number;
  readonly serversIdle: number;
  /** How long the one that has waited longest has waited. */
  readonly maxWaitSeconds: number;
}

export interface BouncerObservation {
  /** As it prints it, for example `PgBouncer 1.18.0`. */
  readonly version: string;
  readonly databases: readonly BouncerDatabaseState[];
  readonly pools: readonly BouncerPool[];
}

/** Looks at a PgBouncer by its admin console; `adminUrl` holds the password. */
export interface PgBouncerReader {
  /** Throws POSTGRES_UNAVAILABLE where it does not answer or does not let us in. */
  observe(adminUrl: string, context: OperationContext): Promise<BouncerObservation>;
}

/** What is told to a PgBouncer by its admin console. Its files are written by whoever writes files. */
export interface PgBouncerControl {
  /**
   * Lets transactions end and lets no new one begin; clients stay connected and wait. Resolves once no server is in use. Idempotent. Throws
   * TIMED_OUT, having let clients go on, where transactions do not end within the context's `timeoutMs`; POSTGRES_FAILED for an unknown database.
   */
  pause(adminUrl: string, database: string, context: OperationContext): Promise<void>;
  /** Lets clients of a paused database go on. Idempotent. */
  resume(adminUrl: string, database: string, context: OperationContext): Promise<void>;
  /**
   * Closes every connection of clients and servers of a database at once, whatever they wait for; who comes then waits until it is resumed.
   * Idempotent. Throws POSTGRES_FAILED for an unknown database.
   */
  evict(adminUrl: string, database: string, context: OperationContext): Promise<void>;
  /** Reads its files again. Connections to servers that are no longer meant are closed when they are let go. */
  reload(adminUrl: string, context: OperationContext): Promise<void>;
}
