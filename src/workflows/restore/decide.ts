import { SpokeError } from '../../errors.ts';
import { gapText } from '../../domain/recovery/assess-backup.ts';
import type { BackupCandidate } from '../../domain/recovery/choose-backup.ts';
import { estimateRestoreSeconds } from '../../domain/recovery/estimate.ts';
import { mayLieInStreamedWal, type StreamedReach, streamedReach } from '../../domain/recovery/streamed-reach.ts';
import { contiguousWalFrom } from '../../domain/recovery/timeline-path.ts';
import { formatTimelineHistory, historyOf, timelineHistoryFileName } from '../../domain/postgres/timeline-history.ts';
import { formatLsn } from '../../domain/postgres/lsn.ts';
import { segmentNumberBefore, segmentNumberOf, segmentStartLsn, walSegmentName } from '../../domain/postgres/wal-segment.ts';
import type { ServiceManager } from '../../ports/service-control.ts';
import type { NodeObservation } from '../observe-cluster.ts';
import { type PinnedCandidate, type PinnedTail, type RestoreIntent, restoreAreaFor, targetToJson } from './intent.ts';
import { patroniOfRestore } from './patroni.ts';
import { ownerOf, reasonToRefuse } from './refuse.ts';
import type { RestoreRequest, RestoreWorld } from './request.ts';
import { newTablespaceLocation } from './tablespaces.ts';

/** Decides a restore of what was seen, once. Throws the reason where it must not be done. Pure. */
export function decideRestore(request: RestoreRequest, world: RestoreWorld): RestoreIntent {
  const refusal = reasonToRefuse(request, world);
  if (refusal !== undefined) throw refusal;
  const owner = ownerOf(world);
  const candidates = world.choice.kind === 'chosen' ? world.choice.candidates : [];
  const [first] = candidates;
  if (first === undefined || owner === undefined) throw new SpokeError('INTERNAL', 'a restore was accepted without a backup or an owner');
  const node = inPlaceNode(world);
  const replaces = world.destination.kind === 'postgres';
  return {
    cluster: request.cluster.name,
    target: targetToJson(request.target),
    candidates: candidates.map((candidate) => pin(candidate, request, world)),
    inPlaceNode: node?.node.name ?? null,
    dataDirectory: world.destination.path,
    destinationIdentity: world.destination.identity ?? null,
    oldDataDirectory: replaces ? `${world.destination.path}.old-${request.suffix}` : null,
    area: restoreAreaFor(world.destination.path, request.suffix),
    owner,
    postgresMajor: first.backup.postgresMajor,
    systemIdentifier: String(first.backup.systemIdentifier),
    superusers: [...new Set(['postgres', owner.name])],
    tablespaceMap: tablespaceMapping(request, world),
    targetAction: request.targetAction,
    start: request.start,
    discardOld: request.discardOld,
    ...addressing(request, world, node),
    archiving: node === undefined ? 'off' : 'keep',
    closeWalOn: world.server.primaryNode ?? null,
    closeWalMayFail: reachesWithoutLiveEnd(request, world, first),
    salvageFrom: world.server.salvageDirectory ?? null,
    outdated: world.outdated,
    patroni: node === undefined ? null : patroniOfRestore(node.node, world.patroni),
    warnings: warningsOf(request, world, first, node),
  };
}

function inPlaceNode(world: RestoreWorld): NodeObservation | undefined {
  return world.nodes.find((node) => node.node.name === world.destinationNode);
}

function addressing(
  request: RestoreRequest,
  world: RestoreWorld,
  node: NodeObservation | undefined,
): { port: number; socketDirectory: string; service: ServiceManager } {
  const running = world.destination.running;
  const askedPort = request.destination.kind === 'directory' ? request.destination.port : undefined;
  if (node === undefined)
    return { port: askedPort ?? world.freePort, socketDirectory: `${world.destination.path}.socket`, service: { manager: 'pg_ctl' } };
  return {
    port: node.node.port ?? running?.port ?? 5432,
    socketDirectory: node.node.socketDirectory ?? running?.socketDirectory ?? '/tmp',
    service: serviceOf(node, world),
  };
}

/** Patroni may have another name for it. */
function serviceOf({ node }: NodeObservation, { patroni }: RestoreWorld): ServiceManager {
  const member = patroniOfRestore(node, patroni)?.member;
  return node.service.manager !== 'patroni' || member === undefined ? node.service : { manager: 'patroni', member };
}

function pin(candidate: BackupCandidate, request: RestoreRequest, world: RestoreWorld): PinnedCandidate {
  const { databaseBytes, stagedBytes } = candidate.backup;
  const streamed = streamedFor(candidate, request, world);
  return {
    repository: candidate.repository,
    label: candidate.label,
    type: candidate.backup.type,
    timeline: candidate.timeline === candidate.backup.timeline ? 'current' : candidate.timeline,
    estimatedSeconds: estimateRestoreSeconds(kindOf(candidate, world), databaseBytes + (stagedBytes ?? 0n), candidate.walBytes),
    walSegments: candidate.segmentCount,
    walBytes: String(candidate.walBytes),
    databaseBytes: String(databaseBytes),
    ...(stagedBytes === undefined ? {} : { stagedBytes: String(stagedBytes) }),
    ...archiveEndOf(candidate, world),
    ...(streamed === undefined ? {} : { leastLsn: formatLsn(streamed.leastLsn) }),
    tail: streamed === undefined ? null : pinTail(streamed, candidate, world),
    reasons: candidate.reasons,
  };
}

function kindOf(candidate: BackupCandidate, world: RestoreWorld): 'local' | 's3' {
  return world.repositories.snapshots.find((snapshot) => snapshot.repository === candidate.repository)?.kind ?? 's3';
}

/** What was streamed beyond the archive, where the target may lie there. */
function streamedFor(candidate: BackupCandidate, { target }: RestoreRequest, world: RestoreWorld): StreamedReach | undefined {
  const archive = archiveOf(candidate, world);
  const history = archive === undefined ? undefined : historyOf(candidate.timeline, archive.histories);
  if (archive === undefined || history === undefined) return undefined;
  const streamed = streamedReach(archive, history, candidate.backup.startLsn);
  return streamed !== undefined && mayLieInStreamedWal(target, streamed.archived) ? streamed : undefined;
}

function pinTail({ segments, archived, endLsn, at }: StreamedReach, candidate: BackupCandidate, world: RestoreWorld): PinnedTail {
  const archive = archiveOf(candidate, world);
  const size = archive?.segmentSizeBytes ?? 0;
  const stored = new Set(archive?.streamed?.archive.histories.map(({ timeline }) => timeline));
  const histories = (archive?.histories ?? []).filter(({ timeline }) => !stored.has(timeline));
  return {
    segments: segments.map(({ timeline, segmentNumber }) => walSegmentName(timeline, segmentNumber, size)),
    histories: histories.map((history) => ({ name: timelineHistoryFileName(history.timeline), text: formatTimelineHistory(history) })),
    fromLsn: formatLsn(archived.endLsn),
    toLsn: formatLsn(endLsn),
    atMicros: String(at ?? world.now),
  };
}

function archiveOf({ repository }: BackupCandidate, world: RestoreWorld) {
  return world.repositories.snapshots.find((snapshot) => snapshot.repository === repository)?.walArchive;
}

/** How far the archive was seen to reach without a gap: the start of its last segment, and that segment's name. */
function archiveEndOf(candidate: BackupCandidate, world: RestoreWorld): { leastLsn: string | null; lastArchivedSegment: string | null } {
  const reach = reachOf(candidate, world);
  if (reach === undefined || reach.lastSegment < segmentNumberOf(candidate.backup.startLsn, reach.segmentSizeBytes))
    return { leastLsn: null, lastArchivedSegment: null };
  return {
    leastLsn: formatLsn(segmentStartLsn(reach.lastSegment, reach.segmentSizeBytes)),
    lastArchivedSegment: walSegmentName(reach.endTimeline, reach.lastSegment, reach.segmentSizeBytes),
  };
}

function reachOf(candidate: BackupCandidate, world: RestoreWorld) {
  const withTail = archiveOf(candidate, world);
  const archive = withTail?.streamed?.archive ?? withTail;
  const history = withTail === undefined ? undefined : historyOf(candidate.timeline, withTail.histories);
  if (archive === undefined || history === undefined) return undefined;
  const reach = contiguousWalFrom(archive, history, candidate.backup.startLsn);
  return { ...reach, segmentSizeBytes: archive.segmentSizeBytes, lastSegment: segmentNumberBefore(reach.endLsn, archive.segmentSizeBytes) };
}

function reachesWithoutLiveEnd(request: RestoreRequest, world: RestoreWorld, candidate: BackupCandidate): boolean {
  if (request.target.kind !== 'time') return request.target.kind === 'immediate';
  const lastArchivedAt = reachOf(candidate, world)?.lastArchivedAt;
  return lastArchivedAt !== undefined && lastArchivedAt > request.target.time;
}

function tablespaceMapping(request: RestoreRequest, world: RestoreWorld): RestoreIntent['tablespaceMap'] {
  return (world.detail?.tablespaces ?? []).map(({ oid, location }) => ({
    oid,
    location: newTablespaceLocation(request, location) ?? location,
  }));
}

function warningsOf(
  request: RestoreRequest,
  world: RestoreWorld,
  candidate: BackupCandidate,
  node: NodeObservation | undefined,
): readonly string[] {
  const standbys = world.nodes.filter((other) => other !== node && other.server?.inRecovery === true).map((other) => other.node.name);
  const links = world.detail?.links ?? [];
  const gap = request.target.kind === 'latest' && world.server.salvageDirectory === undefined ? reachOf(candidate, world)?.gap : undefined;
  return [
    ...(gap === undefined ? [] : [`the archive does not reach the present from this backup: ${gapText(gap)}, and the restore ends before`]),
    ...(candidate.backup.hasPageErrors ? [`backup ${candidate.label} was taken with page checksum errors`] : []),
    ...world.repositories.unreadable.map((one) => `repository ${one.repository} could not be read: ${one.message}`),
    ...world.repositories.snapshots.flatMap(({ repository, tailUnreadable }) =>
      tailUnreadable === undefined ? [] : [`streamed WAL in repository ${repository} could not be looked at: ${tailUnreadable}`],
    ),
    ...world.repositories.snapshots
      .filter((one) => !one.initialised)
      .map((one) => `repository ${one.repository} holds nothing of this cluster`),
    ...(node !== undefined && standbys.length > 0
      ? [`afterwards ${standbys.join(' and ')} follow another history and have to be seeded again`]
      : []),
    ...(world.server.unsalvagedNode === undefined
      ? []
      : [`WAL of ${world.server.unsalvagedNode} that never reached the archive is on another host and is not replayed`]),
    ...world.nodes.flatMap((other) =>
      other.hostFault === undefined ? [] : [`${other.node.name} could not be looked at: ${other.hostFault}`],
    ),
    ...(node?.directory?.running === undefined
      ? []
      : [`what ${node.node.name} commits from now on is not in the restored data; it stays in the old data directory`]),
    ...links.map((link) => `${link.path} was a symbolic link to ${link.destination}; it becomes part of the data directory`),
    ...(request.destination.kind === 'directory'
      ? ['archiving stays off in the restored copy, so that it cannot write into the archive of its original']
      : []),
  ];
}
