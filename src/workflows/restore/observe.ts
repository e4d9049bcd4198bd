import { SpokeError } from '../../errors.ts';
import { chooseBackup, type RestoreChoiceRequest } from '../../domain/recovery/choose-backup.ts';
import { withStreamedWal } from '../../domain/catalog/archive-with-tail.ts';
import type { BackupDetail } from '../../domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../domain/catalog/repository-snapshot.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { DirectoryFacts } from '../../ports/instance.ts';
import type { OperationContext } from '../../ports/operation.ts';
import {
  type NodeObservation,
  observeEngines,
  observeNodes,
  observeRepositories,
  onlyPrimary,
  type RepositoryObservations,
} from '../observe-cluster.ts';
import { observePatroni } from '../patroni/observe.ts';
import { areOnOneHost, instanceOf } from '../hosts.ts';
import type { LiveEnd, RestoreRequest, RestoreWorld } from './request.ts';
import { outdatedDirectories } from './outdated.ts';
import { newTablespaceLocation } from './tablespaces.ts';

/** Looks at everything that the decision needs: repositories, nodes, the destination, tools. Changes nothing. */
export async function observeForRestore(request: RestoreRequest, ports: ReadPorts, context: OperationContext): Promise<RestoreWorld> {
  const now = ports.clock.now();
  const only = request.repository === undefined ? undefined : [request.repository];
  await observeEngines(request.cluster, only, ports, context);
  const [found, nodes] = await Promise.all([
    observeRepositories(request.cluster, only, { walArchive: true }, ports, context),
    observeNodes(request.cluster, ports, context),
  ]);
  const destinationNode = destinationNodeOf(request, nodes);
  const patroni = destinationNode === undefined ? undefined : await observePatroni(request.cluster, ports, context);
  const server = liveEndOf(request, nodes, destinationNode, found);
  const repositories = { ...found, snapshots: found.snapshots.map((snapshot) => withUsefulTail(snapshot, server, nodes)) };
  const choice = chooseBackup(repositories.snapshots, choiceRequest(request, nodes, server, now));
  const first = choice.kind === 'chosen' ? choice.candidates[0] : undefined;
  const destinationPath = destinationOf(request, destinationNode);
  const there = { ...ports, instance: await instanceOf(destinationNode?.node.name, ports, context) };
  const detail = first === undefined ? undefined : await ports.catalog.readBackupDetail(first.repository, first.label, context);
  const installation = first === undefined ? undefined : await there.instance.findInstallation(first.backup.postgresMajor, context);
  const osUser = await there.instance.findUser(request.cluster.osUser ?? 'postgres');
  return {
    now,
    nodes,
    repositories,
    destinationPath,
    ...(destinationNode === undefined ? {} : { destinationNode: destinationNode.node.name }),
    destination: await there.instance.inspectDirectory(destinationPath, context),
    choice,
    ...(detail === undefined ? {} : { detail }),
    ...(installation === undefined ? {} : { installation }),
    tablespaceDirectories: await inspectTablespaces(request, detail, there, context),
    currentUser: there.instance.currentUser(),
    ...(osUser === undefined ? {} : { osUser }),
    freePort: await there.instance.findFreePort(),
    server,
    ...(patroni === undefined ? {} : { patroni }),
    outdated: await outdatedDirectories(destinationPath, request.cluster.restore.keepOldDays, now, there, context),
  };
}

/** The node that is restored in place; undefined where none is. Throws USAGE where `--in-place` leaves open which node is meant. */
function destinationNodeOf(request: RestoreRequest, nodes: readonly NodeObservation[]): NodeObservation | undefined {
  if (request.destination.kind === 'directory') return undefined;
  const wanted = request.destination.node;
  const candidates = wanted === undefined ? inPlaceCandidates(nodes) : nodes.filter((node) => node.node.name === wanted);
  const [only] = candidates;
  if (only === undefined || candidates.length > 1)
    throw new SpokeError('USAGE', `--in-place: which node is meant? Known are: ${nodes.map((node) => node.node.name).join(', ')}`, {
      hint: 'Name it: --in-place <node>',
    });
  return only;
}

/** Where the restore goes. Throws USAGE where the configuration does not say it. */
function destinationOf({ destination }: RestoreRequest, inPlace: NodeObservation | undefined): string {
  if (destination.kind === 'directory') return destination.path;
  if (inPlace?.node.dataDirectory !== undefined) return inPlace.node.dataDirectory;
  throw new SpokeError('USAGE', `--in-place: the configuration of node "${String(inPlace?.node.name)}" names no dataDirectory`, {
    hint: 'Add dataDirectory to that node in the configuration.',
  });
}

/** The primary where one answers; else the node whose data directory was no standby. */
function inPlaceCandidates(nodes: readonly NodeObservation[]): readonly NodeObservation[] {
  const primary = onlyPrimary(nodes);
  if (primary !== undefined) return [primary];
  const local = nodes.filter((node) => node.directory !== undefined);
  const formerPrimaries = local.filter((node) => node.directory?.kind === 'postgres' && !node.directory.hasStandbySignal);
  return formerPrimaries.length === 1 ? formerPrimaries : local.length === 1 ? local : [];
}

function liveEndOf(
  request: RestoreRequest,
  nodes: readonly NodeObservation[],
  destination: NodeObservation | undefined,
  repositories: RepositoryObservations,
): LiveEnd {
  if (request.target.kind === 'immediate') return {};
  const known = repositories.snapshots.map((snapshot) => snapshot.systemIdentifier).filter((identifier) => identifier !== undefined);
  const primary = onlyPrimary(nodes);
  if (primary !== undefined) return known.includes(primary.server.systemIdentifier) ? { primaryNode: primary.node.name } : {};
  const stopped = nodes.filter(
    ({ directory }) =>
      directory?.control !== undefined &&
      directory.running === undefined &&
      !directory.hasStandbySignal &&
      known.includes(directory.control.systemIdentifier),
  );
  // Files are copied within one host.
  const near = stopped.find(({ node }) => areOnOneHost(node, destination?.node));
  if (near?.directory !== undefined) return { salvageDirectory: near.directory.realPath, salvageNode: near.node.name };
  const [far] = stopped;
  return far === undefined ? {} : { unsalvagedNode: far.node.name };
}

/**
 * Streamed WAL counts where nothing better is at hand: a primary that answers archives what it has, and the data directory of one that
 * does not has all that it ever wrote. Unless that was a primary of earlier days, and the WAL was streamed from its successor.
 */
function withUsefulTail(snapshot: RepositorySnapshot, server: LiveEnd, nodes: readonly NodeObservation[]): RepositorySnapshot {
  if (server.primaryNode !== undefined) return snapshot;
  const salvaged = nodes.find(({ node }) => node.name === server.salvageNode)?.directory?.control;
  const streamed = snapshot.tail?.segments.at(-1)?.timeline;
  if (server.salvageDirectory !== undefined && (salvaged === undefined || streamed === undefined || streamed <= salvaged.timeline))
    return snapshot;
  return withStreamedWal(snapshot);
}

function choiceRequest(request: RestoreRequest, nodes: readonly NodeObservation[], server: LiveEnd, now: Instant): RestoreChoiceRequest {
  const primary = nodes.find((node) => node.node.name === server.primaryNode)?.server;
  const salvaged = nodes.find(({ node }) => node.name === server.salvageNode)?.directory?.control;
  const liveEnd =
    primary?.lsn !== undefined
      ? { lsn: primary.lsn, timeline: primary.timeline, time: primary.serverTime }
      : salvaged !== undefined
        ? { lsn: salvaged.checkpointLsn, timeline: salvaged.timeline, time: now }
        : undefined;
  return {
    target: request.target,
    timeline: request.timeline,
    ...(request.repository === undefined ? {} : { repository: request.repository }),
    ...(request.label === undefined ? {} : { label: request.label }),
    now,
    ...(liveEnd === undefined ? {} : { liveEnd }),
    excluded: [],
  };
}

async function inspectTablespaces(
  request: RestoreRequest,
  detail: BackupDetail | undefined,
  ports: ReadPorts,
  context: OperationContext,
): Promise<ReadonlyMap<string, DirectoryFacts>> {
  const found = new Map<string, DirectoryFacts>();
  for (const { location } of detail?.tablespaces ?? []) {
    for (const path of [location, newTablespaceLocation(request, location)])
      if (path !== undefined) found.set(path, await ports.instance.inspectDirectory(path, context));
  }
  return found;
}
