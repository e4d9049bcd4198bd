import { formatBytes } from '../bytes.ts';
import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { distance, receivedLsn } from './lag.ts';
import { type ClusterNode, type StandbyNode, type Topology, nodeOf } from './topology.ts';

/** A node, and whether it may be promoted. */
export interface Candidate {
  readonly node: string;
  readonly timeline?: TimelineId;
  /** On its disk: promotion replays all of it. */
  readonly receivedLsn?: Lsn;
  readonly replayedLsn?: Lsn;
  /** Why it may not; empty where it may. */
  readonly refused: readonly string[];
  /** What speaks for or against it beside, for the operator. */
  readonly reasons: readonly string[];
}

export interface FailoverChoice {
  /** Undefined: nobody may be promoted, or not the one that was asked for. */
  readonly chosen?: Candidate;
  /** The best first; those that are refused last. */
  readonly candidates: readonly Candidate[];
}

export interface FailoverRequest {
  /** The primary that is to be replaced; undefined where nobody knows which node it was. */
  readonly lost?: string;
  /** Only this node will do. */
  readonly to?: string;
  /** How much WAL less than the best a node may have that was asked for. */
  readonly maxLagBytes: bigint;
}

/**
 * Whom to promote: of the nodes on the newest timeline the one that has received most, of those the one that has replayed most (it is
 * there sooner), of those the first by name.
 */
export function chooseFailover(topology: Topology, request: FailoverRequest): FailoverChoice {
  const standbys = topology.standbys.filter(({ node }) => node !== request.lost);
  const newest = standbys.reduce<TimelineId | undefined>((most, { server }) => later(most, server.timeline), undefined);
  const best = standbys
    .filter(({ server }) => server.timeline === newest)
    .reduce<Lsn | undefined>((most, one) => later(most, positionOf(one)), undefined);
  const candidates = topology.nodes
    .filter(({ node }) => node !== request.lost)
    .map((node) => candidateOf(node, { newest, best, request, topology }))
    .toSorted(byRank);
  const wanted = request.to === undefined ? candidates[0] : candidates.find(({ node }) => node === request.to);
  return { candidates, ...(wanted === undefined || wanted.refused.length > 0 ? {} : { chosen: wanted }) };
}

/** Why nobody is chosen, in one line. */
export function whyNobody(topology: Topology, { candidates }: FailoverChoice, { to }: FailoverRequest): string {
  if (to !== undefined && nodeOf(topology, to) === undefined) return `the configuration has no node ${to}`;
  const asked = to === undefined ? candidates : candidates.filter(({ node }) => node === to);
  if (asked.length === 0) return to === undefined ? 'there is no other node' : `${to} is the node that is to be replaced`;
  return asked.map(({ node, refused }) => `${node}: ${refused.join(', ')}`).join('; ');
}

interface Field {
  readonly newest: TimelineId | undefined;
  readonly best: Lsn | undefined;
  readonly request: FailoverRequest;
  readonly topology: Topology;
}

function candidateOf(node: ClusterNode, field: Field): Candidate {
  if (node.role !== 'standby') return { node: node.node, refused: [whyNoStandby(node)], reasons: [] };
  const { server } = node;
  const replayed = server.replication?.replayedLsn;
  const received = positionOf(node);
  const { refused, reasons } = judge(node, received, field);
  return {
    node: node.node,
    timeline: server.timeline,
    ...(received === undefined ? {} : { receivedLsn: received }),
    ...(replayed === undefined ? {} : { replayedLsn: replayed }),
    refused,
    reasons,
  };
}

function whyNoStandby(node: Exclude<ClusterNode, StandbyNode>): string {
  switch (node.role) {
    case 'primary':
      return 'it is a primary already';
    case 'stranger':
      return `it is of another cluster (system identifier ${node.systemIdentifier})`;
    case 'stopped':
      return `no server runs there (${node.files.state})`;
    case 'unreachable':
      return `it does not answer: ${node.reason}`;
  }
}

function judge(
  { node, server }: StandbyNode,
  received: Lsn | undefined,
  { newest, best, request }: Field,
): { readonly refused: readonly string[]; readonly reasons: readonly string[] } {
  const { replication, settings, timeline } = server;
  if (received === undefined || best === undefined) return { refused: ['it does not tell how much WAL it has'], reasons: [] };
  const behind = distance(received, best);
  const replaying = distance(replication?.replayedLsn ?? received, received);
  const refused = [
    ...(newest !== undefined && timeline < newest ? [`it is on timeline ${timeline}, another node on ${newest}`] : []),
    ...(request.to === node && behind > request.maxLagBytes
      ? [`it has ${formatBytes(behind)} of WAL less than the best, more than failover.maxLagMib`]
      : []),
  ];
  const delay = Number(settings['recovery_min_apply_delay'] ?? 0);
  const reasons = [
    behind === 0n ? `no node has more WAL (${formatLsn(received)})` : `another node has ${formatBytes(behind)} more`,
    replaying === 0n ? 'everything it has is replayed' : `${formatBytes(replaying)} are to be replayed before it accepts writes`,
    ...(replication?.replayPaused === true ? ['replay is paused there; promotion ends the pause'] : []),
    ...(delay > 0 ? [`recovery_min_apply_delay is ${delay} ms there; promotion does not wait for it`] : []),
  ];
  return { refused, reasons };
}

function positionOf({ server }: StandbyNode): Lsn | undefined {
  return server.replication === undefined ? undefined : receivedLsn(server.replication);
}

function later<T extends bigint | number>(one: T | undefined, other: T | undefined): T | undefined {
  return one === undefined || (other !== undefined && other > one) ? other : one;
}

function byRank(left: Candidate, right: Candidate): number {
  return (
    Math.sign(left.refused.length) - Math.sign(right.refused.length) ||
    descending(left.receivedLsn, right.receivedLsn) ||
    descending(left.replayedLsn, right.replayedLsn) ||
    (left.node < right.node ? -1 : 1)
  );
}

function descending(left: Lsn | undefined, right: Lsn | undefined): number {
  const [one, other] = [left ?? -1n, right ?? -1n];
  return one === other ? 0 : one > other ? -1 : 1;
}
