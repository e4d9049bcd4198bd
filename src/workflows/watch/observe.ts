import type { ClusterConfig } from '../../config/model.ts';
import type { ArchiveFacts, ArchiveSample, ArchivingPrimary, StreamingFacts } from '../../domain/health/archive-facts.ts';
import { parseTimelineHistory, timelineHistoryFileName, type TimelineHistory } from '../../domain/postgres/timeline-history.ts';
import type { ReceiverState } from '../../domain/streaming/receiver-state.ts';
import { asSpokeError } from '../../errors.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ServerObservation, WalObservation } from '../../ports/postgres-server.ts';
import { type NodeObservation, observeNodes, observeRepositories, onlyPrimary, type RepositoryObservations } from '../observe-cluster.ts';
import { instanceOf, orHostFault } from '../hosts.ts';

/** pgBackRest tries for a minute to reach a repository that is down; a look must not take longer than the time to the next one. */
const REPOSITORY_TIMEOUT_MS = 25_000;
const MOST_HISTORY_BYTES = 1024 * 1024;

/** What the daemon brings to each look: what it has, and what it has seen before. */
export interface WatchOptions {
  /** What `setup archiving` sets archive_command to. */
  readonly expectedArchiveCommand: string | undefined;
  /** Earlier looks, oldest first (see rememberLook). */
  readonly samples: readonly ArchiveSample[];
  /** Whether WAL is streamed, where whoever looks streams it. */
  readonly receiver?: ReceiverState;
}

/** The primary's WAL, as far as it is looked at apart from the servers themselves. */
export interface PrimaryWal {
  readonly node: NodeObservation & { readonly server: ServerObservation };
  readonly wal: WalObservation;
  readonly walFreeBytes?: bigint;
  readonly histories: readonly TimelineHistory[];
}

/**
 * One look at how WAL reaches the repositories. The primary first: what it believes archived must then be in every listing that
 * follows, and what is missing there is really missing.
 */
export async function observeArchive(
  cluster: ClusterConfig,
  options: WatchOptions,
  ports: ReadPorts,
  context: OperationContext,
): Promise<ArchiveFacts> {
  const nodes = await observeNodes(cluster, ports, context);
  const primary = await observePrimaryWal(nodes, ports, context);
  const limited = { ...context, timeoutMs: Math.min(context.timeoutMs ?? REPOSITORY_TIMEOUT_MS, REPOSITORY_TIMEOUT_MS) };
  // Before the repositories: what has been brought on meanwhile is in their listings.
  const held = await ports.catalog.readHeldWal();
  const [repositories, pushErrors] = await Promise.all([
    observeRepositories(cluster, undefined, { walArchive: true, onlySinceNewestBackup: true }, ports, limited),
    ports.catalog.readPushErrors(),
  ]);
  return archiveFacts(cluster, { nodes, primary, repositories, pushErrors, held, now: ports.clock.now() }, options);
}

/** Undefined where no primary answers, or more than one does. */
export async function observePrimaryWal(
  nodes: readonly NodeObservation[],
  ports: ReadPorts,
  context: OperationContext,
): Promise<PrimaryWal | undefined> {
  const node = onlyPrimary(nodes);
  const address = node === undefined ? undefined : await ports.access.addressOf(node.node.name);
  if (node === undefined || address === undefined) return undefined;
  try {
    const wal = await ports.postgres.observeWal(address, context);
    const walDirectory = node.node.dataDirectory === undefined ? undefined : `${node.node.dataDirectory}/pg_wal`;
    const onDisk = walDirectory === undefined ? { histories: [] } : await observeWalDirectory(node, walDirectory, ports, context);
    return { node, wal, ...onDisk };
  } catch (thrown) {
    const { code } = asSpokeError(thrown);
    if (code !== 'POSTGRES_UNAVAILABLE' && code !== 'TIMED_OUT' && code !== 'FILE_SYSTEM_FAILED') throw thrown;
    return undefined;
  }
}

/** Nothing where it is on another host that does not tell. */
async function observeWalDirectory(
  { node, server }: NodeObservation & { readonly server: ServerObservation },
  walDirectory: string,
  ports: ReadPorts,
  context: OperationContext,
): Promise<Pick<PrimaryWal, 'histories' | 'walFreeBytes'>> {
  const look = async () => {
    const instance = await instanceOf(node.name, ports, context);
    const walFreeBytes = await instance.freeSpaceOf(walDirectory);
    const histories = await readOwnHistory(server, walDirectory, instance);
    return { histories, ...(walFreeBytes === undefined ? {} : { walFreeBytes }) };
  };
  if (!ports.hosts.isElsewhere(node.name)) return look();
  const seen = await orHostFault(look());
  return 'found' in seen ? seen.found : { histories: [] };
}

/** The history of the server's own timeline, which no repository may have yet. */
async function readOwnHistory(
  { timeline }: ServerObservation,
  walDirectory: string,
  instance: ReadPorts['instance'],
): Promise<readonly TimelineHistory[]> {
  if (timeline === 1) return [];
  const text = await instance.readFileTail(`${walDirectory}/${timelineHistoryFileName(timeline)}`, MOST_HISTORY_BYTES);
  if (text === '') return [];
  try {
    return [parseTimelineHistory(text, timeline)];
  } catch {
    return [];
  }
}

interface Observed {
  readonly now: ArchiveFacts['now'];
  readonly nodes: readonly NodeObservation[];
  readonly primary: PrimaryWal | undefined;
  readonly repositories: RepositoryObservations;
  readonly pushErrors: ArchiveFacts['pushErrors'];
  readonly held: NonNullable<ArchiveFacts['held']>;
}

/** Puts what was observed into the domain's words. Pure. */
export function archiveFacts(
  cluster: ClusterConfig,
  { now, nodes, primary, repositories, pushErrors, held }: Observed,
  options: WatchOptions,
): ArchiveFacts {
  const { samples, expectedArchiveCommand } = options;
  const rpoSeconds = cluster.objectives?.rpoSeconds;
  const archiving = primary === undefined ? undefined : archivingPrimary(primary);
  return {
    now,
    ...(archiving === undefined ? { noPrimary: whyNoPrimary(nodes) } : { primary: archiving }),
    snapshots: repositories.snapshots,
    unreadable: repositories.unreadable,
    histories: primary?.histories ?? [],
    pushErrors,
    ...(held.length === 0 ? {} : { held }),
    ...(cluster.wal.streaming ? { streaming: streamingFacts(cluster, primary, options) } : {}),
    ...(expectedArchiveCommand === undefined ? {} : { expectedArchiveCommand }),
    ...(rpoSeconds === undefined ? {} : { rpoSeconds }),
    samples,
  };
}

function streamingFacts({ wal }: ClusterConfig, primary: PrimaryWal | undefined, { receiver }: WatchOptions): StreamingFacts {
  const keeps = primary?.node.server.settings['max_slot_wal_keep_size'];
  return {
    slot: wal.slot,
    tailSeconds: wal.tailSeconds,
    ...(keeps === undefined ? {} : { slotKeepsMib: Number(keeps) }),
    ...(receiver === undefined ? {} : { receiver }),
  };
}

function whyNoPrimary(nodes: readonly NodeObservation[]): string {
  const primaries = nodes.filter(({ server }) => server?.inRecovery === false).map(({ node }) => node.name);
  if (primaries.length > 1) return `more than one node is a primary: ${primaries.join(', ')}`;
  return primaries.length === 1 ? `${primaries.join()} does not tell of its WAL` : 'no primary answers';
}

/** Undefined for a server that does not tell where it is. */
function archivingPrimary({ node: { node, server }, wal, walFreeBytes }: PrimaryWal): ArchivingPrimary | undefined {
  if (server.lsn === undefined) return undefined;
  return {
    node: node.name,
    systemIdentifier: server.systemIdentifier,
    timeline: server.timeline,
    insertLsn: server.lsn,
    segmentSizeBytes: server.walSegmentSizeBytes,
    serverTime: server.serverTime,
    archiver: server.archiver,
    settings: archiveSettings(server.settings),
    ...wal,
    ...(walFreeBytes === undefined ? {} : { walFreeBytes }),
  };
}

function archiveSettings(settings: ServerObservation['settings']): ArchivingPrimary['settings'] {
  const { archive_mode: mode, archive_command: command, archive_library: library, archive_timeout: timeout } = settings;
  return {
    ...(mode === undefined ? {} : { archiveMode: mode }),
    ...(command === undefined ? {} : { archiveCommand: command }),
    ...(library === undefined ? {} : { archiveLibrary: library }),
    ...(timeout === undefined ? {} : { archiveTimeoutSeconds: Number(timeout) }),
  };
}
