import type { Lsn } from '../postgres/lsn.ts';
import type { SystemIdentifier } from '../postgres/system-identifier.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { ReplicationFacts } from './replication-facts.ts';
import { slotOf } from './slot-name.ts';

/** What a server that answers says of itself. */
export interface ServerFacts {
  readonly systemIdentifier: SystemIdentifier;
  readonly postgresMajor: number;
  readonly timeline: TimelineId;
  readonly inRecovery: boolean;
  readonly walSegmentSizeBytes: number;
  /** Those that were looked at, as pg_settings has them. */
  readonly settings: Readonly<Record<string, string>>;
  /** Absent where that could not be asked, though the server answered before. */
  readonly replication?: ReplicationFacts;
}

/** What the files of a data directory say: pg_controldata, and which signal files are there. */
export interface FileFacts {
  readonly systemIdentifier: SystemIdentifier;
  readonly timeline: TimelineId;
  /** As PostgreSQL words it: `in production`, `shut down`, `in archive recovery`, `shut down in recovery` … */
  readonly state: string;
  readonly checkpointLsn: Lsn;
  readonly hasStandbySignal: boolean;
  readonly hasRecoverySignal: boolean;
  /** Whether some server runs on it: then it only does not answer us. */
  readonly isRunning: boolean;
  readonly dataChecksums: boolean;
  readonly walLogHints?: boolean;
}

/** A node of the configuration as one look found it. */
export interface NodeFacts {
  readonly node: string;
  /** Where others connect to it; absent where nobody said. */
  readonly address?: { readonly host: string; readonly port: number };
  readonly server?: ServerFacts;
  /** Why there is no `server`. */
  readonly unreachable?: string;
  /** Absent where its host was not looked at, or nothing of PostgreSQL is there. */
  readonly files?: FileFacts;
}

interface RoleBase {
  readonly node: string;
  readonly facts: NodeFacts;
}

export interface PrimaryNode extends RoleBase {
  readonly role: 'primary';
  readonly server: ServerFacts;
}

export interface StandbyNode extends RoleBase {
  readonly role: 'standby';
  readonly server: ServerFacts;
  /** Whom it receives WAL from just now. */
  readonly upstream: Upstream;
}

/** No server runs on its data directory; what it would be where somebody started it. */
export interface StoppedNode extends RoleBase {
  readonly role: 'stopped';
  readonly files: FileFacts;
  readonly wouldBe: 'primary' | 'standby';
}

/** Of another cluster: nothing may be done to it. */
export interface StrangerNode extends RoleBase {
  readonly role: 'stranger';
  readonly systemIdentifier: SystemIdentifier;
}

/** It may run and it may not: nothing is known of its role. */
export interface UnreachableNode extends RoleBase {
  readonly role: 'unreachable';
  readonly reason: string;
}

export type ClusterNode = PrimaryNode | StandbyNode | StoppedNode | StrangerNode | UnreachableNode;

export type Upstream =
  | { readonly kind: 'node'; readonly node: string }
  /** It streams from a server that is none of the configuration. */
  | { readonly kind: 'elsewhere'; readonly host: string; readonly port?: number }
  /** It streams, and it is not known from whom (pg_read_all_stats). */
  | { readonly kind: 'hidden' }
  | { readonly kind: 'none' };

/** Who is what, as it was seen; never as it was configured. */
export interface Topology {
  /** Undefined where no node tells one, or two clusters have as many nodes. */
  readonly systemIdentifier?: SystemIdentifier;
  /** In the order of the configuration. */
  readonly nodes: readonly ClusterNode[];
  /** The one primary; undefined where there is none, or where there are several. */
  readonly primary?: PrimaryNode;
  /** More than one: writes go to two places, and somebody must stop one of them. */
  readonly primaries: readonly PrimaryNode[];
  readonly standbys: readonly StandbyNode[];
  readonly stopped: readonly StoppedNode[];
  readonly strangers: readonly StrangerNode[];
  readonly unreachable: readonly UnreachableNode[];
}

/**
 * Who is what. `expected` is the cluster that it has to be, where that is known (from its repositories, or from a look before); else
 * it is the one that most nodes are of, and where two have as many everybody is a stranger: nothing may be done to any of them.
 */
export function topologyOf(facts: readonly NodeFacts[], expected?: SystemIdentifier): Topology {
  const systemIdentifier = expected ?? commonIdentifier(facts);
  const nodes = facts.map((one) => roleOf(one, systemIdentifier, facts));
  const primaries = nodes.filter((node) => node.role === 'primary');
  const [primary] = primaries;
  return {
    ...(systemIdentifier === undefined ? {} : { systemIdentifier }),
    nodes,
    ...(primary === undefined || primaries.length > 1 ? {} : { primary }),
    primaries,
    standbys: nodes.filter((node) => node.role === 'standby'),
    stopped: nodes.filter((node) => node.role === 'stopped'),
    strangers: nodes.filter((node) => node.role === 'stranger'),
    unreachable: nodes.filter((node) => node.role === 'unreachable'),
  };
}

/** The node of that name; undefined where the configuration has none. */
export function nodeOf(topology: Topology, name: string): ClusterNode | undefined {
  return topology.nodes.find(({ node }) => node === name);
}

function identifierOf({ server, files }: NodeFacts): SystemIdentifier | undefined {
  return server?.systemIdentifier ?? files?.systemIdentifier;
}

function commonIdentifier(facts: readonly NodeFacts[]): SystemIdentifier | undefined {
  const counts = new Map<SystemIdentifier, number>();
  for (const one of facts) {
    const identifier = identifierOf(one);
    if (identifier !== undefined) counts.set(identifier, (counts.get(identifier) ?? 0) + 1);
  }
  const [most, second] = [...counts].toSorted(([, left], [, right]) => right - left);
  return most === undefined || second?.[1] === most[1] ? undefined : most[0];
}

function roleOf(facts: NodeFacts, cluster: SystemIdentifier | undefined, all: readonly NodeFacts[]): ClusterNode {
  const base = { node: facts.node, facts };
  const { server, files } = facts;
  const identifier = identifierOf(facts);
  if (identifier !== undefined && identifier !== cluster) return { ...base, role: 'stranger', systemIdentifier: identifier };
  if (server !== undefined && !server.inRecovery) return { ...base, role: 'primary', server };
  if (server !== undefined) return { ...base, role: 'standby', server, upstream: upstreamOf(facts, server, all) };
  if (files === undefined || files.isRunning) return { ...base, role: 'unreachable', reason: facts.unreachable ?? 'it was not asked' };
  return { ...base, role: 'stopped', files, wouldBe: files.hasStandbySignal ? 'standby' : 'primary' };
}

/** By the address that the receiver is connected to; where nobody's is that, by whose slot of that name somebody reads. */
function upstreamOf({ node }: NodeFacts, { replication }: ServerFacts, all: readonly NodeFacts[]): Upstream {
  const receiver = replication?.receiver;
  if (receiver === undefined) return { kind: 'none' };
  const { senderHost: host, senderPort: port, slot } = receiver;
  const others = all.filter((other) => other.node !== node);
  const addressed = others.filter(({ address }) => address !== undefined && address.host === host && address.port === port);
  const [only] = addressed.length > 0 ? addressed : others.filter((other) => feeds(other, slot ?? slotOf(node)));
  if (only !== undefined) return { kind: 'node', node: only.node };
  if (host === undefined) return { kind: 'hidden' };
  return { kind: 'elsewhere', host, ...(port === undefined ? {} : { port }) };
}

function feeds({ server }: NodeFacts, slot: string): boolean {
  return server?.replication?.slots.some(({ name, active }) => name === slot && active) ?? false;
}
