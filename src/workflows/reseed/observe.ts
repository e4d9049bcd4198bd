import type { ClusterConfig, NodeConfig } from '../../config/model.ts';
import type { BaseBackup } from '../../domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../domain/catalog/repository-snapshot.ts';
import type { SystemIdentifier } from '../../domain/postgres/system-identifier.ts';
import { chooseReseed } from '../../domain/topology/reseed-method.ts';
import { nodeOf, type PrimaryNode, type Topology } from '../../domain/topology/topology.ts';
import { SpokeError } from '../../errors.ts';
import type { PinnedBackup } from '../../plan/step.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { DirectoryFacts, FileOwner, InstanceReader } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { areOnOneHost, instanceOf } from '../hosts.ts';
import { type NodeObservation, observeRepositories } from '../observe-cluster.ts';
import { observeTopology } from '../observe-topology.ts';
import { publicAddressOf } from '../setup-cluster/addresses.ts';
import { observeFront } from './front.ts';
import type { ReseedRequest, ReseedWorld, SeedingWorld } from './request.ts';
import { seedFacts } from './seed-facts.ts';

/** Looks at everything that the decision needs. Changes nothing. Throws USAGE where the configuration has no such node. */
export async function observeForReseed(request: ReseedRequest, ports: ReadPorts, context: OperationContext): Promise<ReseedWorld> {
  const { cluster } = request;
  requireNode(cluster, request.node);
  const found = await observeRepositories(cluster, undefined, { walArchive: true }, ports, context);
  const repositories = { ...found, snapshots: found.snapshots.map((one) => withoutBackups(one, request.without ?? [])) };
  const observation = await observeTopology(cluster, ports, context, identifierOf(repositories.snapshots));
  const target = observation.nodes.find(({ node }) => node.name === request.node);
  const role = nodeOf(observation.topology, request.node);
  if (target === undefined || role === undefined) throw new SpokeError('INTERNAL', `${request.node} was not looked at`);
  const world = { ...observation, repositories, target, role };
  const { primary } = observation.topology;
  const { directory } = target;
  if (primary === undefined || directory === undefined || role.role === 'primary' || role.role === 'stranger') return world;
  return { ...world, seeding: await observeSeeding(request, { ...world, primary, directory }, ports, context) };
}

function requireNode({ name, nodes }: ClusterConfig, wanted: string): void {
  if (nodes.some((node) => node.name === wanted)) return;
  throw new SpokeError('USAGE', `the configuration of ${name} has no node "${wanted}"`, {
    hint: `Known are: ${nodes.map((node) => node.name).join(', ')}`,
  });
}

/** And without what is relative to one of them. */
function withoutBackups(snapshot: RepositorySnapshot, without: readonly PinnedBackup[]): RepositorySnapshot {
  const labels = without.filter(({ repository }) => repository === snapshot.repository).map(({ label }) => label);
  const isGood = ({ label, references }: BaseBackup) => [label, ...references].every((one) => !labels.includes(one));
  return { ...snapshot, backups: snapshot.backups.filter(isGood) };
}

/** What the repositories are of, where they agree: that is the cluster that is meant. */
function identifierOf(snapshots: readonly RepositorySnapshot[]): SystemIdentifier | undefined {
  const found = new Set(snapshots.flatMap(({ systemIdentifier }) => (systemIdentifier === undefined ? [] : [systemIdentifier])));
  return found.size === 1 ? [...found][0] : undefined;
}

type Known = ReseedWorld & { readonly primary: PrimaryNode; readonly directory: DirectoryFacts; readonly topology: Topology };

async function observeSeeding(
  { cluster, node, wish }: ReseedRequest,
  known: Known,
  ports: ReadPorts,
  context: OperationContext,
): Promise<SeedingWorld> {
  const { nodes, target, directory, primary } = known;
  const there = await instanceOf(node, ports, context);
  const usable = await usableSnapshots(cluster, target.node, known.repositories.snapshots, { ports, there, context });
  const facts = await seedFacts({ ...known, cluster, snapshots: usable.snapshots, there }, ports, context);
  const owner = await ownerOf(cluster, target.node, nodes, { directory, there });
  const installation = await there.findInstallation(primary.server.postgresMajor, context);
  const addresses = await Promise.all(cluster.nodes.map(async (one) => [one.name, await publicAddressOf(one, ports)] as const));
  return {
    facts,
    choice: chooseReseed(facts, wish),
    directory,
    ...(owner === undefined ? {} : { owner }),
    currentUser: there.currentUser(),
    ...(installation === undefined ? {} : { installation }),
    addresses: new Map(addresses),
    hasReplicationPassword: (await ports.setup.secrets.replicationPassword()) !== undefined,
    front: await observeFront(cluster, node, nodes, ports, context),
    unusable: usable.unusable,
  };
}

/** A repository in a directory is one only where that directory is: on the host of the target. */
async function usableSnapshots(
  { repositories }: ClusterConfig,
  target: NodeConfig,
  snapshots: readonly RepositorySnapshot[],
  { ports, there, context }: { readonly ports: ReadPorts; readonly there: InstanceReader; readonly context: OperationContext },
): Promise<{ readonly snapshots: readonly RepositorySnapshot[]; readonly unusable: readonly string[] }> {
  if (!ports.hosts.isElsewhere(target.name)) return { snapshots, unusable: [] };
  const usable: RepositorySnapshot[] = [];
  const unusable: string[] = [];
  for (const snapshot of snapshots) {
    const repository = repositories.find(({ name }) => name === snapshot.repository);
    const { kind } = repository?.kind === 'local' ? await there.inspectDirectory(repository.path, context) : { kind: 'other' };
    if (kind === 'other') usable.push(snapshot);
    else unusable.push(`repository ${snapshot.repository} is not on the host of ${target.name}`);
  }
  return { snapshots: usable, unusable };
}

/** Who owns the data directory; where there is none, who owns another one on that host; else the configured user. Never root. */
async function ownerOf(
  { osUser }: ClusterConfig,
  target: NodeConfig,
  nodes: readonly NodeObservation[],
  { directory, there }: { readonly directory: DirectoryFacts; readonly there: InstanceReader },
): Promise<FileOwner | undefined> {
  const current = there.currentUser();
  const beside = nodes.find(({ node, directory: other }) => other?.kind === 'postgres' && areOnOneHost(node, target))?.directory?.owner;
  const present = directory.kind === 'postgres' ? directory.owner : undefined;
  const owner = present ?? (current.uid === 0 ? (beside ?? (await there.findUser(osUser ?? 'postgres'))) : current);
  return owner?.uid === 0 ? undefined : owner;
}
