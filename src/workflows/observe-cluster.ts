import type { ClusterConfig, NodeConfig } from '../config/model.ts';
import type { RepositorySnapshot, UnreadableRepository } from '../domain/catalog/repository-snapshot.ts';
import type { RepositoryName } from '../domain/catalog/base-backup.ts';
import { asSpokeError, type ErrorCode, type SpokeError } from '../errors.ts';
import type { EngineVersion, ReadRepositoryOptions } from '../ports/backup-engine.ts';
import type { ReadPorts } from '../ports/bundle.ts';
import type { DirectoryFacts } from '../ports/instance.ts';
import type { OperationContext } from '../ports/operation.ts';
import type { ServerObservation } from '../ports/postgres-server.ts';
import { instanceOf, orHostFault } from './hosts.ts';

/** A configured node as it was found. Its role is what it says itself, never what it is called. */
export interface NodeObservation {
  readonly node: NodeConfig;
  readonly server?: ServerObservation;
  /** Why there is no `server`. */
  readonly unreachable?: string;
  readonly directory?: DirectoryFacts;
  /** Why there is no `directory` although there should be one: the node is on another host, and that does not tell. */
  readonly hostFault?: string;
}

export interface RepositoryObservations {
  readonly snapshots: readonly RepositorySnapshot[];
  readonly unreadable: readonly UnreadableRepository[];
}

const ABOUT_THE_REPOSITORY: readonly ErrorCode[] = [
  'REPOSITORY_UNAVAILABLE',
  'REPOSITORY_DENIED',
  'BACKUP_DAMAGED',
  'TIMED_OUT',
  'TOOL_FAILED',
];
/** Where one engine does not work, what another one keeps can still be read. */
const ABOUT_THE_ENGINE: readonly ErrorCode[] = ['TOOL_MISSING', 'TOOL_UNSUPPORTED'];

/** Asks every node by SQL and looks at the data directories, each on the host of its node. */
export function observeNodes(
  cluster: Pick<ClusterConfig, 'nodes'>,
  ports: ReadPorts,
  context: OperationContext,
): Promise<readonly NodeObservation[]> {
  return Promise.all(cluster.nodes.map((node) => observeNode(node, ports, context)));
}

/** Asks every node by SQL, and nothing else of it. */
export function observeServers(cluster: ClusterConfig, ports: ReadPorts, context: OperationContext): Promise<readonly NodeObservation[]> {
  return Promise.all(cluster.nodes.map((node) => observeServer(node, ports, context)));
}

async function observeNode(node: NodeConfig, ports: ReadPorts, context: OperationContext): Promise<NodeObservation> {
  const directory = await observeDirectory(node, ports, context);
  return { ...(await observeServer(node, ports, context)), ...directory };
}

async function observeDirectory(
  { name, dataDirectory }: NodeConfig,
  ports: ReadPorts,
  context: OperationContext,
): Promise<Pick<NodeObservation, 'directory' | 'hostFault'>> {
  if (dataDirectory === undefined) return {};
  const look = async () => (await instanceOf(name, ports, context)).inspectDirectory(dataDirectory, context);
  if (!ports.hosts.isElsewhere(name)) return { directory: await look() };
  const seen = await orHostFault(look());
  return 'found' in seen ? { directory: seen.found } : { hostFault: seen.fault };
}

async function observeServer(node: NodeConfig, ports: ReadPorts, context: OperationContext): Promise<NodeObservation> {
  try {
    const address = await ports.access.addressOf(node.name);
    if (address === undefined) return { node, unreachable: 'no url in the configuration' };
    return { node, server: await ports.postgres.observeServer(address, context) };
  } catch (thrown) {
    const error = asSpokeError(thrown);
    if (error.code !== 'POSTGRES_UNAVAILABLE' && error.code !== 'TIMED_OUT') throw error;
    return { node, unreachable: error.message };
  }
}

/** The engines that work on this machine, by the repositories that they keep, and what keeps the others from it. */
export interface EngineObservations {
  readonly versions: ReadonlyMap<RepositoryName, EngineVersion>;
  readonly without: readonly UnreadableRepository[];
}

/** Asks which engines keep the repositories. Throws TOOL_MISSING or TOOL_UNSUPPORTED where none of them works here. */
export async function observeEngines(
  cluster: ClusterConfig,
  only: readonly RepositoryName[] | undefined,
  ports: ReadPorts,
  context: OperationContext,
): Promise<EngineObservations> {
  const versions = new Map<RepositoryName, EngineVersion>();
  const without: UnreadableRepository[] = [];
  const faults: SpokeError[] = [];
  const wanted = cluster.repositories.filter((repository) => only === undefined || only.includes(repository.name));
  await Promise.all(
    wanted.map(async ({ name, kind }) => {
      try {
        versions.set(name, await ports.catalog.readVersion(name, context));
      } catch (thrown) {
        const error = asSpokeError(thrown);
        // What has to be asked of a server or a repository is not known while that is away: it says so itself where it matters.
        if (ABOUT_THE_REPOSITORY.includes(error.code) || error.code === 'POSTGRES_UNAVAILABLE') return;
        if (!ABOUT_THE_ENGINE.includes(error.code)) throw error;
        faults.push(error);
        without.push({ repository: name, kind, errorCode: error.code, message: error.message });
      }
    }),
  );
  const [fault] = faults;
  if (fault !== undefined && faults.length === wanted.length) throw fault;
  return { versions, without };
}

/** Reads the repositories side by side. One that does not answer is unreadable, which is not the same as empty. */
export async function observeRepositories(
  cluster: ClusterConfig,
  only: readonly RepositoryName[] | undefined,
  options: ReadRepositoryOptions,
  ports: ReadPorts,
  context: OperationContext,
): Promise<RepositoryObservations> {
  const wanted = cluster.repositories.filter((repository) => only === undefined || only.includes(repository.name));
  const snapshots: RepositorySnapshot[] = [];
  const unreadable: UnreadableRepository[] = [];
  const faults: SpokeError[] = [];
  await Promise.all(
    wanted.map(async (repository) => {
      const name = repository.name;
      try {
        const snapshot = await ports.catalog.readRepository(name, options, context);
        snapshots.push(options.walArchive && cluster.wal.streaming ? await withTail(snapshot, ports, context) : snapshot);
      } catch (thrown) {
        const error = asSpokeError(thrown);
        if (ABOUT_THE_ENGINE.includes(error.code)) faults.push(error);
        else if (!ABOUT_THE_REPOSITORY.includes(error.code)) throw error;
        unreadable.push({ repository: name, kind: repository.kind, errorCode: error.code, message: error.message });
      }
    }),
  );
  const [fault] = faults;
  if (fault !== undefined && faults.length === wanted.length) throw fault;
  const order = new Map<string, number>(wanted.map((repository, index) => [repository.name, index]));
  const byOrder = (a: { repository: string }, b: { repository: string }) => (order.get(a.repository) ?? 0) - (order.get(b.repository) ?? 0);
  return { snapshots: snapshots.sort(byOrder), unreadable: unreadable.sort(byOrder) };
}

/** What was streamed there, too. Where that cannot be looked at the archive counts all the same. */
async function withTail(snapshot: RepositorySnapshot, ports: ReadPorts, context: OperationContext): Promise<RepositorySnapshot> {
  try {
    const tail = await ports.tails.readTail(snapshot.repository, context);
    return tail === undefined ? snapshot : { ...snapshot, tail };
  } catch (thrown) {
    const error = asSpokeError(thrown);
    if (error.code === 'CANCELLED' || error.code === 'INTERNAL') throw error;
    return { ...snapshot, tailUnreadable: error.message };
  }
}

/** The one reachable node that is not in recovery; undefined where there is none or more than one. */
export function onlyPrimary(nodes: readonly NodeObservation[]): (NodeObservation & { readonly server: ServerObservation }) | undefined {
  const primaries = nodes.filter(
    (node): node is NodeObservation & { readonly server: ServerObservation } => node.server !== undefined && !node.server.inRecovery,
  );
  return primaries.length === 1 ? primaries[0] : undefined;
}
