import type { ClusterConfig } from '../../config/model.ts';
import type { RepositorySnapshot } from '../../domain/catalog/repository-snapshot.ts';
import type { Lsn } from '../../domain/postgres/lsn.ts';
import { historyOf, type TimelineHistory } from '../../domain/postgres/timeline-history.ts';
import type { TimelineId } from '../../domain/postgres/timeline.ts';
import { REPLICATION_RIGHTS } from '../../domain/setup/roles.ts';
import { isWalSegmentName, parseWalSegmentName, segmentStartLsn } from '../../domain/postgres/wal-segment.ts';
import { receivedLsn } from '../../domain/topology/lag.ts';
import { ASSUMED_RESEED_RATES, type ReseedFacts, type SeedPrimary, type SeedStandby } from '../../domain/topology/reseed-facts.ts';
import type { PrimaryNode, Topology } from '../../domain/topology/topology.ts';
import { asSpokeError, SpokeError } from '../../errors.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { DirectoryFacts, InstanceReader } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ServerAddress } from '../../ports/postgres-server.ts';
import type { NodeObservation } from '../observe-cluster.ts';
import { fileFactsOf, lagsOf } from '../observe-topology.ts';

interface Seen {
  readonly cluster: ClusterConfig;
  readonly topology: Topology;
  readonly primary: PrimaryNode;
  readonly target: NodeObservation;
  readonly directory: DirectoryFacts;
  /** Those that can be restored from on the host of the target. */
  readonly snapshots: readonly RepositorySnapshot[];
  /** The host of the target. */
  readonly there: InstanceReader;
}

/** What the method is chosen by. */
export async function seedFacts(seen: Seen, ports: ReadPorts, context: OperationContext): Promise<ReseedFacts> {
  const { cluster, directory, snapshots, target, topology } = seen;
  const address = await ports.access.addressOf(seen.primary.node);
  if (address === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', `node ${seen.primary.node} has no url in the configuration`);
  const primary = await seedPrimary(seen, address, ports, context);
  const tablespaces = await ports.postgres.observeTablespaces(address, context);
  const files = fileFactsOf(directory);
  const found = topology.standbys.find(({ node }) => node === target.node.name)?.server.replication;
  const targetLsn = found === undefined ? undefined : receivedLsn(found);
  const oldest = files === undefined ? undefined : await oldestWalOf(directory, primary.walSegmentSizeBytes, seen.there);
  const againstInPlace = whyNotInPlace(directory, primary);
  const againstRewind = await whyNoRewind(cluster, address, ports, context);
  const againstBeside = whyNotBeside(directory, tablespaces.length);
  return {
    primary,
    // A server that runs on it is stopped before anything is done.
    ...(files === undefined ? {} : { target: { ...files, isRunning: false } }),
    ...(targetLsn === undefined ? {} : { targetLsn }),
    ...(oldest === undefined ? {} : { targetOldestWalLsn: oldest }),
    freeBytes: directory.freeBytes,
    snapshots,
    standbys: standbysOf(seen),
    deltaFrom: cluster.repositories.filter(({ engine }) => engine === 'pgbackrest').map(({ name }) => name),
    rates: ASSUMED_RESEED_RATES,
    ...(againstInPlace === undefined ? {} : { againstInPlace }),
    ...(againstRewind === undefined ? {} : { againstRewind }),
    ...(againstBeside === undefined ? {} : { againstBeside }),
  };
}

async function seedPrimary(
  { primary: { node, server }, snapshots }: Seen,
  address: ServerAddress,
  ports: ReadPorts,
  context: OperationContext,
): Promise<SeedPrimary> {
  const { systemIdentifier, postgresMajor, walSegmentSizeBytes, timeline, settings, replication } = server;
  const source = await ports.postgres.observeSeedSource(address, context);
  const { lsn } = await ports.postgres.observeServer(address, context);
  const flushLsn = replication?.flushLsn ?? lsn;
  const databaseBytes = source.databaseBytes ?? sizeByBackups(snapshots);
  if (flushLsn === undefined || databaseBytes === undefined)
    throw new SpokeError('REFUSED_PRECONDITION', `${node} does not tell how large its databases are, so nothing can be priced`, {
      hint: `Let the role of its url see it: GRANT pg_monitor TO …`,
    });
  const oldestWalLsn = source.oldestWal === undefined ? undefined : startOf(source.oldestWal, walSegmentSizeBytes);
  return {
    ...{ node, systemIdentifier, postgresMajor, walSegmentSizeBytes, flushLsn, databaseBytes },
    history: await historyOfPrimary(node, timeline, { address, snapshots }, ports, context),
    ...(oldestWalLsn === undefined ? {} : { oldestWalLsn }),
    ...(source.walBytes === undefined ? {} : { walBytes: source.walBytes }),
    fullPageWrites: settings['full_page_writes'] !== 'off',
    hasFreeSender: source.freeSenders > 0,
  };
}

function sizeByBackups(snapshots: readonly RepositorySnapshot[]): bigint | undefined {
  const newest = snapshots.flatMap(({ backups }) => backups).toSorted((left, right) => (left.stopLsn > right.stopLsn ? -1 : 1))[0];
  return newest?.databaseBytes;
}

/** From the server itself, or from a repository where the role may not use the replication protocol. */
async function historyOfPrimary(
  node: string,
  timeline: TimelineId,
  { address, snapshots }: { readonly address: ServerAddress; readonly snapshots: readonly RepositorySnapshot[] },
  { postgres }: ReadPorts,
  context: OperationContext,
): Promise<TimelineHistory> {
  const archived = historyOf(
    timeline,
    snapshots.flatMap(({ walArchive }) => walArchive?.histories ?? []),
  );
  if (archived !== undefined) return archived;
  try {
    return await postgres.readTimelineHistory(address, timeline, context);
  } catch (thrown) {
    throw new SpokeError('REFUSED_PRECONDITION', `where timeline ${timeline} of ${node} comes from is not known`, {
      hint: 'Give the role of its url the right to use the replication protocol: ALTER ROLE … REPLICATION',
      cause: asSpokeError(thrown),
    });
  }
}

/** One that runs on another timeline has another history, however near it is. */
function standbysOf({ topology, target, primary }: Seen): readonly SeedStandby[] {
  const lags = lagsOf(topology);
  return topology.standbys.flatMap(({ node, server }) => {
    const [lag, replayedLsn] = [lags.get(node), server.replication?.replayedLsn];
    const isSame = server.postgresMajor === primary.server.postgresMajor && server.timeline === primary.server.timeline;
    return node !== target.node.name && isSame && lag !== undefined && replayedLsn !== undefined
      ? [{ node, replayedLsn, lagBytes: lag.bytes }]
      : [];
  });
}

async function oldestWalOf({ path }: DirectoryFacts, sizeBytes: number, there: InstanceReader): Promise<Lsn | undefined> {
  const starts = (await there.listFiles(`${path}/pg_wal`)).filter(isWalSegmentName).map((name) => startOf(name, sizeBytes));
  return starts.reduce<Lsn | undefined>((least, one) => (least === undefined || one < least ? one : least), undefined);
}

function startOf(name: string, sizeBytes: number): Lsn {
  return segmentStartLsn(parseWalSegmentName(name, sizeBytes).segmentNumber, sizeBytes);
}

function whyNotInPlace({ postgresMajor }: DirectoryFacts, primary: SeedPrimary): string | undefined {
  if (postgresMajor === undefined || postgresMajor === primary.postgresMajor) return undefined;
  return `the data directory is of PostgreSQL ${postgresMajor}`;
}

/** pg_rewind reads the files of the source by functions that a role must have been given. Where it may not be looked at, it shows. */
async function whyNoRewind(
  { replication: { role } }: ClusterConfig,
  address: ServerAddress,
  { setup }: ReadPorts,
  context: OperationContext,
): Promise<string | undefined> {
  try {
    const found = await setup.servers.observeRole(address, { name: role, ...REPLICATION_RIGHTS }, context);
    if (found === undefined) return `there is no role ${role}`;
    const isAllowed = found.superuser || REPLICATION_RIGHTS.mayExecute.every((signature) => found.mayExecute.includes(signature));
    return isAllowed ? undefined : `${role} may not read files of the primary (setup primary gives it that)`;
  } catch (thrown) {
    if (asSpokeError(thrown).code !== 'POSTGRES_FAILED') throw thrown;
    return undefined;
  }
}

function whyNotBeside({ isMountPoint, isSymbolicLink, tablespaces, path }: DirectoryFacts, ofPrimary: number): string | undefined {
  if (isMountPoint) return `${path} is a mount point and cannot be renamed`;
  if (isSymbolicLink) return `${path} is a symbolic link`;
  return tablespaces.length + ofPrimary > 0 ? 'the cluster has tablespaces, whose places are taken by the old data' : undefined;
}
