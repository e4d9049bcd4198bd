import type { ClusterConfig, NodeAddress, NodeConfig } from '../config/model.ts';
import type { SystemIdentifier } from '../domain/postgres/system-identifier.ts';
import { lagOf, type PrimaryPosition, type ReplicationLag } from '../domain/topology/lag.ts';
import type { ReplicationFacts } from '../domain/topology/replication-facts.ts';
import { type FileFacts, type NodeFacts, type ServerFacts, type Topology, topologyOf } from '../domain/topology/topology.ts';
import { asSpokeError } from '../errors.ts';
import type { ReadPorts } from '../ports/bundle.ts';
import type { DirectoryFacts } from '../ports/instance.ts';
import type { OperationContext } from '../ports/operation.ts';
import type { ServerObservation } from '../ports/postgres-server.ts';
import { type NodeObservation, observeNodes } from './observe-cluster.ts';

/** What is seen of a whole cluster: every node by SQL and by its files, and who is what. */
export interface TopologyObservation {
  readonly nodes: readonly NodeObservation[];
  readonly topology: Topology;
}

/** Looks at every node, and again at nothing. `expected`: the cluster that it has to be, where that is known. */
export async function observeTopology(
  cluster: Pick<ClusterConfig, 'nodes'>,
  ports: ReadPorts,
  context: OperationContext,
  expected?: SystemIdentifier,
): Promise<TopologyObservation> {
  const nodes = await observeNodes(cluster, ports, context);
  return { nodes, topology: await topologyOfNodes(nodes, ports, context, expected) };
}

/** Who is what among nodes that have just been looked at. Primaries are asked first: what a standby has replayed of that is no lag. */
async function topologyOfNodes(
  nodes: readonly NodeObservation[],
  ports: ReadPorts,
  context: OperationContext,
  expected?: SystemIdentifier,
): Promise<Topology> {
  const replication = new Map<string, ReplicationFacts>();
  for (const inRecovery of [false, true]) {
    const asked = nodes.filter(({ server }) => server?.inRecovery === inRecovery);
    await Promise.all(
      asked.map(async ({ node }) => {
        const found = await observeReplication(node, ports, context);
        if (found !== undefined) replication.set(node.name, found);
      }),
    );
  }
  const facts = await Promise.all(
    nodes.map(async (node) => nodeFacts(node, replication.get(node.node.name), await addressOf(node.node, ports))),
  );
  return topologyOf(facts, expected);
}

/** How far each standby is behind the one primary, by name; empty where there is none. `earlier`: other looks at that primary. */
export function lagsOf({ primary, standbys }: Topology, earlier: readonly PrimaryPosition[] = []): ReadonlyMap<string, ReplicationLag> {
  const position = positionOf(primary?.server.replication);
  if (position === undefined) return new Map();
  const lags = standbys.map(({ node, server }) => [node, server.replication && lagOf(position, server.replication, earlier)] as const);
  return new Map(lags.flatMap(([node, lag]) => (lag === undefined ? [] : [[node, lag] as const])));
}

/** Where a primary is; undefined of a server that does not tell. */
export function positionOf(replication: ReplicationFacts | undefined): PrimaryPosition | undefined {
  return replication?.flushLsn === undefined ? undefined : { at: replication.serverTime, lsn: replication.flushLsn };
}

async function observeReplication(
  { name }: NodeConfig,
  ports: ReadPorts,
  context: OperationContext,
): Promise<ReplicationFacts | undefined> {
  try {
    const address = await ports.access.addressOf(name);
    return address === undefined ? undefined : await ports.postgres.observeReplication(address, context);
  } catch (thrown) {
    const { code } = asSpokeError(thrown);
    if (code !== 'POSTGRES_UNAVAILABLE' && code !== 'TIMED_OUT') throw thrown;
    return undefined;
  }
}

/** Where others connect to it: as configured, else the host and port of its URL. */
async function addressOf({ name, address }: NodeConfig, ports: ReadPorts): Promise<NodeAddress | undefined> {
  if (address !== undefined) return address;
  const found = await ports.access.addressOf(name).catch(() => undefined);
  if (found?.kind !== 'url' || !URL.canParse(found.url)) return undefined;
  const { hostname, port } = new URL(found.url);
  return hostname === '' ? undefined : { host: decodeURIComponent(hostname), port: port === '' ? 5432 : Number(port) };
}

function nodeFacts(
  { node, server, unreachable, directory }: NodeObservation,
  replication: ReplicationFacts | undefined,
  address: NodeAddress | undefined,
): NodeFacts {
  const files = directory === undefined ? undefined : fileFactsOf(directory);
  return {
    node: node.name,
    ...(address === undefined ? {} : { address }),
    ...(server === undefined ? {} : { server: serverFactsOf(server, replication) }),
    ...(unreachable === undefined ? {} : { unreachable }),
    ...(files === undefined ? {} : { files }),
  };
}

function serverFactsOf(server: ServerObservation, replication: ReplicationFacts | undefined): ServerFacts {
  const { systemIdentifier, postgresMajor, timeline, inRecovery, walSegmentSizeBytes, settings } = server;
  const facts = { systemIdentifier, postgresMajor, timeline, inRecovery, walSegmentSizeBytes, settings };
  return replication === undefined ? facts : { ...facts, replication };
}

/** What the files of a data directory tell of a node; undefined where there is no pg_control to read. */
export function fileFactsOf({ control, hasStandbySignal, hasRecoverySignal, running }: DirectoryFacts): FileFacts | undefined {
  if (control === undefined) return undefined;
  const { systemIdentifier, timeline, state, checkpointLsn, dataChecksums, walLogHints } = control;
  return {
    systemIdentifier,
    timeline,
    state,
    checkpointLsn,
    hasStandbySignal,
    hasRecoverySignal,
    isRunning: running !== undefined,
    dataChecksums,
    ...(walLogHints === undefined ? {} : { walLogHints }),
  };
}
