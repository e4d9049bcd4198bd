import type { PatroniMemberState, PatroniView } from '../domain/patroni/view.ts';
import type { OperationContext } from './operation.ts';

/**
 * Looks at the Patroni of one cluster by its REST API: any of its URLs that answers. Every method throws PATRONI_UNAVAILABLE where none
 * does, PATRONI_DENIED where it does not let us in or its certificate is not trusted, REFUSED_WRONG_CLUSTER where it is another cluster's.
 */
export interface PatroniReader {
  /** Who is what. A configuration store that is away is told in the view. */
  observe(context: OperationContext): Promise<PatroniView>;
  /** Asks that member itself. Throws PATRONI_FAILED where there is no such member. */
  observeMember(member: string, context: OperationContext): Promise<PatroniMemberState>;
  /** The dynamic configuration, as it lies in the configuration store. Throws PATRONI_UNAVAILABLE also where that is away. */
  readConfiguration(context: OperationContext): Promise<Readonly<Record<string, unknown>>>;
}

/**
 * What is asked of Patroni. Each method throws as the reader's do, and PATRONI_FAILED with its words where it refuses, or where it has
 * stopped waiting for what it goes on with (details.isUnderWay).
 */
export interface PatroniControl {
  /** Hands over from one member to another; resolves when Patroni says so. Throws PATRONI_FAILED also where it took another one instead. */
  switchover(change: { readonly leader: string; readonly candidate: string }, context: OperationContext): Promise<void>;
  /** Makes that member the leader where there is none; resolves when Patroni says so. */
  failover(candidate: string, context: OperationContext): Promise<void>;
  /** Has a member thrown away and made anew by its replica creation methods; resolves when that has begun, or was under way. */
  reinitialize(member: string, context: OperationContext): Promise<void>;
  /** Has it stop and start the server of a member, or start it where it is stopped; resolves once that accepts connections. */
  restart(member: string, context: OperationContext): Promise<void>;
  /** Maintenance mode on or off; resolves once every member has seen it. Idempotent. Throws TIMED_OUT, naming who has not. */
  setPaused(paused: boolean, context: OperationContext): Promise<void>;
}
