/** A PgBouncer in front of the cluster, as its admin console shows it. */
export interface Pooler {
  readonly name: string;
  /** `unknown`: it could not be asked, for a reason of our own. */
  readonly state: 'unknown' | 'serving' | 'paused' | 'unreachable';
  /** For people. */
  readonly detail?: string;
  /** Of the databases that are to go to the primary, where it sends them. */
  readonly writers: readonly PoolerTarget[];
}

/** A database that it offers, and a server that it sends its clients to. */
export interface PoolerTarget {
  readonly database: string;
  readonly host: string;
  readonly port: number;
}
