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
