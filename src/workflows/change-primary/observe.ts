import type { ClusterConfig, NodeConfig } from '../../config/model.ts';
import { endpointsText, endpointValues } from '../../domain/endpoints/endpoints.ts';
import type { SystemIdentifier } from '../../domain/postgres/system-identifier.ts';
import { passfileText } from '../../domain/setup/conninfo.ts';
import { slotOf } from '../../domain/topology/slot-name.ts';
import type { Topology } from '../../domain/topology/topology.ts';
import type { SetupStep } from '../../plan/setup-steps.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { instanceOf } from '../hosts.ts';
import type { NodeObservation } from '../observe-cluster.ts';
import { observeTopology, type TopologyObservation } from '../observe-topology.ts';
import { type PublicAddress, publicAddressOf } from '../setup-cluster/addresses.ts';
import type { PlacedNode } from '../setup-cluster/pgbouncer.ts';
import { connectionSettings } from '../setup-cluster/server.ts';
import { observeBouncers } from './bouncers.ts';
import type { ChangePrimaryFacts, EndpointsToChange, FrontFacts } from './facts.ts';

const MOST_BYTES = 1024 * 1024;

type WritePassfile = Extract<SetupStep, { kind: 'write-passfile' }>;

/** Who is to be what. */
export interface WantedRoles {
  readonly to: string;
  /** The old primary that becomes a standby; absent where it stays away. */
  readonly from?: string;
  /** Nodes that are fenced: they stay away. */
  readonly gone?: readonly string[];
}

/** Who is what just now, of the cluster that it has to be. */
export async function observeForChange(
  cluster: ClusterConfig,
  roles: WantedRoles,
  expected: string,
  ports: ReadPorts,
  context: OperationContext,
): Promise<ChangePrimaryFacts> {
  const observed = await observeTopology(cluster, ports, context, BigInt(expected) as SystemIdentifier);
  return factsFor(cluster, roles, observed, ports, context);
}

/** The rest of the facts, where the nodes have been looked at. */
export async function factsFor(
  cluster: ClusterConfig,
  roles: WantedRoles,
  { nodes, topology }: TopologyObservation,
  ports: ReadPorts,
  context: OperationContext,
): Promise<ChangePrimaryFacts> {
  const addresses = await addressesOf(cluster, ports);
  const passfiles = new Map<string, WritePassfile>();
  for (const { node } of topology.nodes.filter(({ role, node: name }) => role === 'standby' || name === roles.from)) {
    const missing = node === roles.to ? undefined : await missingPassfile(cluster, nodes, node, addresses, ports, context);
    if (missing !== undefined) passfiles.set(node, missing);
  }
  return {
    topology,
    limitMs: cluster.failover.timeoutSeconds * 1000,
    follow: followSettings(cluster, nodes, roles.to, addresses),
    following: followingNodes(topology, addresses.get(roles.to)),
    passfiles,
    ...(await observeFront(cluster, roles, topology, ports, context)),
  };
}

/** What clients come by, and where it is to lead. */
export async function observeFront(
  cluster: ClusterConfig,
  roles: WantedRoles,
  topology: Topology,
  ports: ReadPorts,
  context: OperationContext,
): Promise<FrontFacts> {
  const addresses = await addressesOf(cluster, ports);
  const placed = {
    without: placedNodes(topology, addresses, { ...roles, from: undefined }, roles.from),
    with: placedNodes(topology, addresses, roles, undefined),
  };
  const endpoints = await observeEndpoints(cluster, placed, ports);
  const bouncers = await observeBouncers(cluster, roles, topology, placed, ports, context);
  return { bouncers, ...(endpoints === undefined ? {} : { endpoints }) };
}

async function addressesOf({ nodes }: ClusterConfig, ports: ReadPorts): Promise<ReadonlyMap<string, PublicAddress>> {
  const addresses = new Map<string, PublicAddress>();
  for (const node of nodes) addresses.set(node.name, await publicAddressOf(node, ports));
  return addresses;
}

/**
 * Where everybody is once `to` is the primary. `away`, and what is gone, is left out: who asks for it by its name has nobody there, and goes to
 * the primary. Standbys that do not answer now keep their own clients, and get no others.
 */
export function placedNodes(
  topology: Topology,
  addresses: ReadonlyMap<string, PublicAddress>,
  { to, from, gone = [] }: Omit<WantedRoles, 'from'> & { readonly from?: string | undefined },
  away: string | undefined,
): readonly PlacedNode[] {
  return topology.nodes.flatMap(({ node, role }): readonly PlacedNode[] => {
    const address = addresses.get(node);
    if (address === undefined || role === 'stranger' || node === away || gone.includes(node)) return [];
    const isStandby = node === from || role === 'standby';
    return [{ name: node, role: node === to ? 'primary' : isStandby ? 'standby' : 'unknown', address }];
  });
}

/** With the passfile beside the data directory, as setting up a standby has it. */
function followSettings(
  cluster: ClusterConfig,
  nodes: readonly NodeObservation[],
  to: string,
  addresses: ReadonlyMap<string, PublicAddress>,
): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const primary = addresses.get(to);
  const settings = new Map<string, Readonly<Record<string, string>>>();
  for (const { node, server } of nodes) {
    const dataDirectory = node.dataDirectory ?? server?.dataDirectory;
    if (primary === undefined || dataDirectory === undefined || node.name === to) continue;
    const wanted = connectionSettings(cluster, node.name, primary, passfileOf(dataDirectory), slotOf(node.name));
    settings.set(node.name, Object.fromEntries(wanted.map(({ name, value }) => [name, value])));
  }
  return settings;
}

function passfileOf(dataDirectory: string): string {
  return `${dataDirectory}.pgpass`;
}

function followingNodes({ standbys }: Topology, primary: PublicAddress | undefined): ReadonlySet<string> {
  const following = standbys.filter(({ server }) => {
    const connection = server.replication?.primaryConnection;
    return connection !== undefined && connection.host === primary?.host && connection.port === primary?.port;
  });
  return new Set(following.map(({ node }) => node));
}

async function observeEndpoints(
  { endpoints }: ClusterConfig,
  placed: { readonly without: readonly PlacedNode[]; readonly with: readonly PlacedNode[] },
  ports: ReadPorts,
): Promise<EndpointsToChange | undefined> {
  if (endpoints === undefined) return undefined;
  const { file, database, user, hook } = endpoints;
  const textOf = async (nodes: readonly PlacedNode[]) => {
    const [primary] = nodes.filter(({ role }) => role === 'primary').map(({ address }) => address);
    const standbys = nodes.filter(({ role }) => role === 'standby').map(({ address }) => address);
    if (primary === undefined) return undefined;
    const values = endpointValues({ primary, standbys, database, ...(user === undefined ? {} : { user }) });
    const text = endpointsText(values);
    return { text, values: { ...values }, isCurrent: await ports.setup.endpoints.isCurrent(file, text) };
  };
  const [without, all] = [await textOf(placed.without), await textOf(placed.with)];
  return without === undefined || all === undefined ? undefined : { file, hook, wanted: { without, with: all } };
}

async function missingPassfile(
  cluster: ClusterConfig,
  nodes: readonly NodeObservation[],
  from: string,
  addresses: ReadonlyMap<string, PublicAddress>,
  ports: ReadPorts,
  context: OperationContext,
): Promise<WritePassfile | undefined> {
  const found = nodes.find(({ node }) => node.name === from);
  const dataDirectory = found?.node.dataDirectory ?? found?.server?.dataDirectory;
  const password = await ports.setup.secrets.replicationPassword();
  if (dataDirectory === undefined || password === undefined) return undefined;
  const { role } = cluster.replication;
  const servers = cluster.nodes.filter(({ name }: NodeConfig) => name !== from).flatMap(({ name }) => addresses.get(name) ?? []);
  const path = passfileOf(dataDirectory);
  const present = await (await instanceOf(from, ports, context)).readFileTail(path, MOST_BYTES);
  if (present === passfileText(servers, role, password)) return undefined;
  return { kind: 'write-passfile', node: from, path, dataDirectory, role, servers };
}
