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
  const server = liveEndOf(request, nodes, found);
  const repositories = { ...found, snapshots: found.snapshots.map((snapshot) => withUsefulTail(snapshot, server, nodes)) };
  const choice = chooseBackup(repositories.snapshots, choiceRequest(request, nodes, server, now));
  const first = choice.kind === 'chosen' ? choice.candidates[0] : undefined;
  const destinationPath = destinationOf(request, nodes);
  const detail = first === undefined ? undefined : await ports.catalog.readBackupDetail(first.repository, first.label, context);
  const installation = first === undefined ? undefined : await ports.instance.findInstallation(first.backup.postgresMajor, context);
  const osUser = await ports.instance.findUser(request.cluster.osUser ?? 'postgres');
  return {
    now,
    nodes,
    repositories,
    destinationPath,
    destination: await ports.instance.inspectDirectory(destinationPath, context),
    choice,
    ...(detail === undefined ? {} : { detail }),
    ...(installation === undefined ? {} : { installation }),
    tablespaceDirectories: await inspectTablespaces(request, detail, ports, context),
    currentUser: ports.instance.currentUser(),
    ...(osUser === undefined ? {} : { osUser }),
    freePort: await ports.instance.findFreePort(),
    server,
    outdated: await outdatedDirectories(destinationPath, request.cluster.restore.keepOldDays, now, ports, context),
  };
}

/** Where the restore goes. Throws USAGE where `--in-place` leaves open which node is meant. */
export function destinationOf(request: RestoreRequest, nodes: readonly NodeObservation[]): string {
  if (request.destination.kind === 'directory') return request.destination.path;
  const wanted = request.destination.node;
  const candidates = wanted === undefined ? inPlaceCandidates(nodes) : nodes.filter((node) => node.node.name === wanted);
  const [only] = candidates;
  if (only === undefined || candidates.length > 1)
    throw new SpokeError('USAGE', `--in-place: which node is meant? Known are: ${nodes.map((node) => node.node.name).join(', ')}`, {
      hint: 'Name it: --in-place <node>',
    });
  if (only.node.dataDirectory === undefined)
    throw new SpokeError('USAGE', `--in-place: the configuration of node "${only.node.name}" names no dataDirectory`, {
      hint: 'Add dataDirectory to that node in the configuration.',
    });
  return only.node.dataDirectory;
}

/** The primary where one answers; else the node whose data directory was no standby. */
function inPlaceCandidates(nodes: readonly NodeObservation[]): readonly NodeObservation[] {
  const primary = onlyPrimary(nodes);
  if (primary !== undefined) return [primary];
  const local = nodes.filter((node) => node.directory !== undefined);
  const formerPrimaries = local.filter((node) => node.directory?.kind === 'postgres' && !node.directory.hasStandbySignal);
  return formerPrimaries.length === 1 ? formerPrimaries : local.length === 1 ? local : [];
}

function liveEndOf(request: RestoreRequest, nodes: readonly NodeObservation[], repositories: RepositoryObservations): LiveEnd {
  if (request.target.kind === 'immediate') return {};
  const known = repositories.snapshots.map((snapshot) => snapshot.systemIdentifier).filter((identifier) => identifier !== undefined);
  const primary = onlyPrimary(nodes);
  if (primary !== undefined) return known.includes(primary.server.systemIdentifier) ? { primaryNode: primary.node.name } : {};
  const stopped = nodes.find(
    ({ directory }) =>
      directory?.control !== undefined &&
      directory.running === undefined &&
      !directory.hasStandbySignal &&
      known.includes(directory.control.systemIdentifier),
  );
  return stopped?.directory === undefined ? {} : { salvageDirectory: stopped.directory.realPath };
}

/**
 * Streamed WAL counts where nothing better is at hand: a primary that answers archives what it has, and the data directory of one that
 * does not has all that it ever wrote. Unless that was a primary of earlier days, and the WAL was streamed from its successor.
 */
function withUsefulTail(snapshot: RepositorySnapshot, server: LiveEnd, nodes: readonly NodeObservation[]): RepositorySnapshot {
  if (server.primaryNode !== undefined) return snapshot;
  const salvaged = nodes.find(({ directory }) => directory?.realPath === server.salvageDirectory)?.directory?.control;
  const streamed = snapshot.tail?.segments.at(-1)?.timeline;
  if (server.salvageDirectory !== undefined && (salvaged === undefined || streamed === undefined || streamed <= salvaged.timeline))
    return snapshot;
  return withStreamedWal(snapshot);
}

function choiceRequest(request: RestoreRequest, nodes: readonly NodeObservation[], server: LiveEnd, now: Instant): RestoreChoiceRequest {
  const primary = nodes.find((node) => node.node.name === server.primaryNode)?.server;
  const salvaged = nodes.find((node) => server.salvageDirectory !== undefined && node.directory?.realPath === server.salvageDirectory)
    ?.directory?.control;
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
