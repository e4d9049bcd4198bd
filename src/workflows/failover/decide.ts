import type { ClusterConfig } from '../../config/model.ts';
import type { RepositorySnapshot } from '../../domain/catalog/repository-snapshot.ts';
import { type Candidate, chooseFailover, whyNobody } from '../../domain/topology/failover-candidate.ts';
import { lostWal } from '../../domain/topology/lost-wal.ts';
import type { ClusterNode, Topology, Upstream } from '../../domain/topology/topology.ts';
import { SpokeError } from '../../errors.ts';
import type { WalEnd } from '../../ports/instance.ts';
import type { Fence } from '../../plan/change-primary-steps.ts';
import { heldServerOf } from '../change-primary/held-server.ts';
import type { FailoverIntent } from '../change-primary/intent.ts';
import type { NodeObservation } from '../observe-cluster.ts';
import type { TopologyObservation } from '../observe-topology.ts';
import { requireOwnCare } from '../switchover/decide.ts';
import { oldPrimaryWal } from './known-wal.ts';
import { lostWalReport } from './lost.ts';

const MEBIBYTE = 1024n * 1024n;

/** What the operator said. */
export interface FailoverRequest {
  readonly run: string;
  readonly thenBackup: boolean;
  readonly to?: string;
  /** Nodes that he answers for (--i-fenced-it). */
  readonly fenced: readonly string[];
}

export interface FailoverDecision {
  readonly intent: FailoverIntent;
  /** The best first, with what speaks against each. */
  readonly candidates: readonly Candidate[];
}

/** What is known beside the nodes' roles. */
export interface FailoverFacts {
  readonly snapshots: readonly RepositorySnapshot[];
  /** By node, of those whose files can be read and on which no server runs. */
  readonly walEnds: ReadonlyMap<string, WalEnd>;
}

/** Whom to promote, how everybody else is kept from writing, and what is lost with it; throws where it may not be. Pure. */
export function decideFailover(
  cluster: ClusterConfig,
  request: FailoverRequest,
  { nodes, topology }: TopologyObservation,
  { snapshots, walEnds }: FailoverFacts,
): FailoverDecision {
  requireOwnCare(cluster, 'failover');
  requireNoPrimary(topology);
  const doubtful = topology.nodes.filter(mayBePrimary);
  const fences = doubtful.map((node) => fenceOf(node, nodes, cluster, request, topology));
  const options = { maxLagBytes: BigInt(cluster.failover.maxLagMib) * MEBIBYTE, ...(request.to === undefined ? {} : { to: request.to }) };
  const choice = chooseFailover(topology, options);
  const chosen = topology.standbys.find(({ node }) => node === choice.chosen?.node);
  const at = choice.chosen?.receivedLsn;
  if (chosen === undefined || at === undefined)
    throw new SpokeError('REFUSED_PRECONDITION', `nobody can be promoted: ${whyNobody(topology, choice, options)}`, {
      hint: 'See: spoke-backup status',
    });
  const { systemIdentifier, timeline } = chosen.server;
  const old = oldPrimaryWal(doubtful, topology, walEnds, { timeline, lsn: at });
  const lost = lostWalReport(lostWal({ systemIdentifier, timeline, candidateLsn: at, snapshots, ...old }));
  const { run, thenBackup } = request;
  const common = { verb: 'failover', run, thenBackup, cluster: cluster.name, systemIdentifier: String(systemIdentifier) } as const;
  return {
    intent: { ...common, timeline, to: chosen.node, isNamed: request.to !== undefined, fences, lost },
    candidates: choice.candidates,
  };
}

function requireNoPrimary({ primaries }: Topology): void {
  const [one, other] = primaries;
  if (one === undefined) return;
  throw new SpokeError(
    'REFUSED_PRECONDITION',
    other === undefined
      ? `${one.node} is the primary, and answers`
      : `${one.node} and ${other.node} are both primaries: stop one of them first`,
    { hint: other === undefined ? 'Hand over without loss: spoke-backup switchover --to <node>' : 'See: spoke-backup status' },
  );
}

/** Whatever is not seen to be a standby: an unreachable node has a role that nobody knows. */
function mayBePrimary(node: ClusterNode): boolean {
  return node.role === 'unreachable' || (node.role === 'stopped' && node.wouldBe === 'primary');
}

/** What its host shows counts before a command, a command before somebody's word. */
function fenceOf(
  { node, facts }: ClusterNode,
  nodes: readonly NodeObservation[],
  { failover, nodes: configured }: ClusterConfig,
  { fenced }: FailoverRequest,
  topology: Topology,
): Fence {
  const observed = nodes.find((one) => one.node.name === node);
  const server = observed === undefined ? undefined : heldServerOf(observed, facts.address?.port);
  if (server !== undefined) return { kind: 'stopped', server };
  if (failover.fenceCommand !== undefined) {
    const host = configured.find(({ name }) => name === node)?.ssh?.host ?? facts.address?.host ?? node;
    return {
      kind: 'command',
      node,
      command: failover.fenceCommand.map((word) => word.replaceAll('{node}', node).replaceAll('{host}', host)),
    };
  }
  const fed = topology.standbys.find(({ upstream }) => mayBeFedBy(node, upstream));
  if (fenced.includes(node) && fed !== undefined)
    throw new SpokeError('REFUSED_PRECONDITION', `${node} is not fenced: ${fed.node} still streams ${fromWhere(node, fed.upstream)}`, {
      hint: 'Where it was cut off just now, its standbys notice after wal_receiver_timeout: try again then. See: spoke-backup status',
    });
  if (fenced.includes(node)) return { kind: 'declared', node };
  throw new SpokeError('REFUSED_PRECONDITION', `${node} does not answer, and may still accept writes`, {
    hint: `Make sure that it cannot (power off, network), then: spoke-backup failover --i-fenced-it ${node}; or set failover.fenceCommand`,
  });
}

/** Whoever sends WAL and is no node that is seen to be a standby may be this one, by an address that is not in the configuration. */
function mayBeFedBy(node: string, upstream: Upstream): boolean {
  return upstream.kind === 'node' ? upstream.node === node : upstream.kind !== 'none';
}

function fromWhere(node: string, upstream: Upstream): string {
  if (upstream.kind === 'elsewhere')
    return `from ${upstream.host}${upstream.port === undefined ? '' : `:${upstream.port}`}, which may be ${node}`;
  return upstream.kind === 'node' ? 'from it' : `from a server that it does not tell, which may be ${node}`;
}
