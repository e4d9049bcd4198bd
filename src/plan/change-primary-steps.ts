import type { ServiceManager } from '../ports/service-control.ts';

/** A server by its data directory, which is recognised by device and inode whatever runs in it. */
export interface HeldServer {
  readonly node: string;
  readonly dataDirectory: string;
  /** device:inode. */
  readonly identity: string;
  readonly systemIdentifier: string;
  readonly postgresMajor: number;
  readonly service: ServiceManager;
  /** Where it listened: pg_ctl starts it there again. */
  readonly port: number;
  readonly socketDirectory: string;
}

/** Why a node cannot accept writes any more. Nothing is promoted without one for each node that might. */
export type Fence =
  /** Its host shows that no server runs in its data directory, and that one that is started becomes a standby. */
  | { readonly kind: 'stopped'; readonly server: HeldServer }
  /** failover.fenceCommand ended with exit code 0 in this run. */
  | { readonly kind: 'command'; readonly node: string; readonly command: readonly string[] }
  /** The operator answers for it (--i-fenced-it). */
  | { readonly kind: 'declared'; readonly node: string };

/** Which WAL a failover gives up. Plain JSON. */
export interface LostRange {
  readonly timeline: number;
  readonly fromLsn: string;
  readonly toLsn: string;
  readonly bytes: number;
  /** False: the old primary may have written more than anybody knows. */
  readonly isExact: boolean;
}

/**
 * How firmly it stands who is promoted. `best`: whoever has most; `named`: the operator named it; `asked`: it may have been asked to become
 * the primary already, so it is the only one.
 */
export type Choice = 'best' | 'named' | 'asked';

/** Steps that make another node the primary. */
export type ChangePrimaryStep =
  | { readonly kind: 'checkpoint'; readonly node: string }
  | { readonly kind: 'pause-pgbouncer'; readonly bouncer: string; readonly databases: readonly string[] }
  | { readonly kind: 'evict-from-pgbouncer'; readonly bouncer: string; readonly databases: readonly string[] }
  | { readonly kind: 'resume-pgbouncer'; readonly bouncer: string; readonly databases: readonly string[] }
  | {
      readonly kind: 'confirm-roles';
      readonly primary: string;
      readonly standby: string;
      readonly systemIdentifier: string;
      readonly timeline: number;
    }
  /** standby.signal first, then the stop: whoever starts it from then on has a standby. */
  | { readonly kind: 'stop-primary'; readonly server: HeldServer; readonly mode: 'fast' | 'immediate' }
  | { readonly kind: 'await-replay'; readonly node: string; readonly stopped: HeldServer; readonly timeline: number }
  /** After the fences: who has most by now, and what is lost. Throws PLAN_STALE, with the better `candidate` where it is free to take that. */
  | {
      readonly kind: 'compare-candidates';
      readonly node: string;
      readonly choice: Choice;
      readonly systemIdentifier: string;
      readonly timeline: number;
      readonly fences: readonly Fence[];
      readonly others: readonly string[];
      /** As it was confirmed. */
      readonly planned: LostRange;
    }
  | { readonly kind: 'fence-by-command'; readonly node: string; readonly command: readonly string[] }
  | {
      readonly kind: 'promote-standby';
      readonly node: string;
      readonly systemIdentifier: string;
      /** That it follows until then. */
      readonly timeline: number;
      readonly fences: readonly Fence[];
      /** Every other node: none of them may accept writes. */
      readonly others: readonly string[];
      /** Where nothing may be lost: the old primary, all of whose WAL it must have replayed. */
      readonly handedOverBy?: HeldServer;
    }
  | {
      readonly kind: 'repoint-pgbouncer';
      readonly bouncer: string;
      readonly primary: string;
      readonly configFile: string;
      readonly configuration: string;
    }
  /** Refused without standby.signal. */
  | { readonly kind: 'start-standby'; readonly server: HeldServer }
  | { readonly kind: 'drop-slots'; readonly node: string; readonly slots: readonly string[] }
  /** Outside of plans, where a switchover ends before it has promoted: takes standby.signal away and starts it. */
  | { readonly kind: 'bring-back-primary'; readonly server: HeldServer };
