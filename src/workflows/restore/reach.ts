import { withStreamedWal } from '../../domain/catalog/archive-with-tail.ts';
import type { RepositorySnapshot } from '../../domain/catalog/repository-snapshot.ts';
import { chooseBackup, type RestoreChoiceRequest } from '../../domain/recovery/choose-backup.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { areOnOneHost } from '../hosts.ts';
import {
  type NodeObservation,
  observeEngines,
  observeNodes,
  observeRepositories,
  onlyPrimary,
  type RepositoryObservations,
} from '../observe-cluster.ts';
import type { LiveEnd, RestoreRequest, RestoreWorld } from './request.ts';

/** Whether a target can be reached is asked with this much of a restore. */
export type ReachRequest = Pick<RestoreRequest, 'cluster' | 'target' | 'timeline' | 'repository' | 'label'>;

/** What was seen of where recovery can get, and from which backups. */
export interface ObservedReach extends Pick<RestoreWorld, 'now' | 'nodes' | 'repositories' | 'choice' | 'server'> {
  readonly destinationNode?: NodeObservation;
}

/** Looks at repositories and nodes, and chooses as a restore does. `destinationOf`: the node that would be restored in place, if any. */
export async function observeReach(
  request: ReachRequest,
  destinationOf: (nodes: readonly NodeObservation[]) => NodeObservation | undefined,
  ports: ReadPorts,
  context: OperationContext,
): Promise<ObservedReach> {
  const now = ports.clock.now();
  const only = request.repository === undefined ? undefined : [request.repository];
  await observeEngines(request.cluster, only, ports, context);
  const [found, nodes] = await Promise.all([
    observeRepositories(request.cluster, only, { walArchive: true }, ports, context),
    observeNodes(request.cluster, ports, context),
  ]);
  const destinationNode = destinationOf(nodes);
  const server = liveEndOf(request, nodes, destinationNode, found);
  const repositories = { ...found, snapshots: found.snapshots.map((snapshot) => withUsefulTail(snapshot, server, nodes)) };
  const choice = chooseBackup(repositories.snapshots, choiceRequest(request, nodes, server, now));
  return { now, nodes, repositories, choice, server, ...(destinationNode === undefined ? {} : { destinationNode }) };
}

function liveEndOf(
  request: ReachRequest,
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

function choiceRequest(request: ReachRequest, nodes: readonly NodeObservation[], server: LiveEnd, now: Instant): RestoreChoiceRequest {
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
