import type { Lsn } from '../postgres/lsn.ts';
import type { TimelineId } from '../postgres/timeline.ts';

/** What Patroni takes a member for. */
export type PatroniRole = 'leader' | 'standby leader' | 'sync standby' | 'replica';

/** A member as the others know it: what it last told the configuration store, up to a loop_wait ago. */
export interface PatroniMember {
  readonly name: string;
  readonly role: PatroniRole;
  /** In Patroni's words: `running`, `streaming`, `in archive recovery`, `creating replica`, `start failed`, `stopped` … */
  readonly state: string;
  /** Where its PostgreSQL is; absent where it has told nothing yet. */
  readonly host?: string;
  readonly port?: number;
  /** Its own REST API. */
  readonly apiUrl?: string;
  readonly timeline?: TimelineId;
  /** Behind the leader; absent where that is not known, and of the leader itself. */
  readonly lagBytes?: bigint;
  readonly pendingRestart: boolean;
}

/** A change of the leader that Patroni remembers. */
export interface PatroniHistoryEntry {
  /** That which ended. */
  readonly timeline: TimelineId;
  readonly lsn: Lsn;
  readonly reason: string;
  /** As Patroni writes it (ISO 8601); older versions remember neither this nor the leader. */
  readonly at?: string;
  readonly newLeader?: string;
}

/** What Patroni says of the cluster that it manages. */
export interface PatroniView {
  /** The URL that answered. */
  readonly url: string;
  readonly version: string;
  readonly scope: string;
  /** Maintenance mode: Patroni watches, and neither starts, stops nor promotes anything by itself. */
  readonly paused: boolean;
  /** Why the configuration store (etcd, Consul …) cannot be asked; then there are no members. Absent where it can. */
  readonly storeFault?: string;
  /** Empty where the configuration store cannot be asked. */
  readonly members: readonly PatroniMember[];
  /** The oldest first. */
  readonly history: readonly PatroniHistoryEntry[];
}

/** What one member says of itself, now. */
export interface PatroniMemberState {
  readonly name: string;
  readonly state: string;
  readonly paused: boolean;
  readonly timeline?: TimelineId;
  /** When its PostgreSQL was started, as it writes it; absent while none runs. It tells a server that was made anew from the one before. */
  readonly startedAt?: string;
  /** Where a leader writes, or how far a standby has replayed. */
  readonly lsn?: Lsn;
  /** Names of those that stream from it, as they call themselves. */
  readonly streamedBy: readonly string[];
}

/** The member that leads; undefined where none does. */
export function leaderOf({ members }: Pick<PatroniView, 'members'>): PatroniMember | undefined {
  return members.find(isLeader);
}

export function isLeader({ role }: Pick<PatroniMember, 'role'>): boolean {
  return role === 'leader' || role === 'standby leader';
}

/** Whether its PostgreSQL runs. `streaming` is what versions from 3.1 on say of a standby that does. */
export function runs({ state }: Pick<PatroniMember, 'state'>): boolean {
  return state === 'running' || state === 'streaming' || state === 'in archive recovery';
}

/** A node of the configuration, and where others reach it. */
export interface NodeName {
  readonly node: string;
  readonly address?: { readonly host: string; readonly port: number };
}

/** The member that a node is: of the same name, else at the same address. */
export function memberOfNode({ node, address }: NodeName, { members }: Pick<PatroniView, 'members'>): PatroniMember | undefined {
  const named = members.find(({ name }) => name === node);
  if (named !== undefined || address === undefined) return named;
  return members.find(({ host, port }) => host === address.host && port === address.port);
}

/** The node that a member is; undefined where the configuration has none of its name or address. */
export function nodeOfMember<N extends NodeName>(
  { name }: PatroniMember,
  view: Pick<PatroniView, 'members'>,
  nodes: readonly N[],
): N | undefined {
  return nodes.find((node) => memberOfNode(node, view)?.name === name);
}

/** A look at the Patroni of a cluster: what it says, or why it says nothing. */
export type PatroniSighting = { readonly scope: string } & (
  | { readonly view: PatroniView; readonly fault?: undefined }
  | { readonly view?: undefined; readonly fault: string }
);
