import { formatBytes } from '../../domain/bytes.ts';
import type { WalTail } from '../../domain/catalog/wal-tail.ts';
import { leaderOf, type NodeName, nodeOfMember } from '../../domain/patroni/view.ts';
import { formatLsn } from '../../domain/postgres/lsn.ts';
import { segmentStartLsn, walSegmentName } from '../../domain/postgres/wal-segment.ts';
import { formatAge, formatInstantIso, formatInstantLocal, formatInstantUtc, type Instant } from '../../domain/time/instant.ts';
import { nodeOf } from '../../domain/topology/topology.ts';
import type { NodeObservation } from '../../workflows/observe-cluster.ts';
import type { ClusterStatus, RepositoryStatus } from '../../workflows/status/status.ts';
import { archiveCell, archiveToJson, findingLines, findingToJson } from './archive.ts';
import { backupToJson, type EngineOf } from './backups.ts';
import { patroniLines, patroniToJson } from './patroni.ts';
import { lagToJson, nodeRows, poolerLines, nextRunLine, slotRows, slotToJson, upstreamToJson } from './topology.ts';
import { renderTable } from './table.ts';

/** Whether somebody should look: exit code 3. */
export function hasFindings(status: ClusterStatus): boolean {
  const primaries = status.nodes.filter((node) => node.server?.inRecovery === false);
  return (
    status.recoverable === undefined ||
    status.hasGaps ||
    primaries.length !== 1 ||
    status.topology.strangers.length > 0 ||
    status.slots.some(({ slot }) => slot.walStatus === 'lost') ||
    status.poolers.some(({ state }) => state === 'paused' || state === 'unreachable') ||
    isPatroniAtALoss(status.patroni, namesOf(status)) ||
    primaries.some(isArchiverFailing) ||
    status.findings.some(({ severity }) => severity === 'critical') ||
    status.nodes.some((node) => node.server === undefined && node.node.url !== undefined) ||
    status.repositories.some((repository) => repository.unreadable !== undefined)
  );
}

function namesOf({ topology }: ClusterStatus): readonly NodeName[] {
  return topology.nodes.map(({ facts }) => facts);
}

/** Nobody would take over, or somebody has whom nobody looks at. */
function isPatroniAtALoss(sighting: ClusterStatus['patroni'], nodes: readonly NodeName[]): boolean {
  if (sighting === undefined) return false;
  const { view } = sighting;
  if (view === undefined || view.storeFault !== undefined) return true;
  return leaderOf(view) === undefined || view.members.some((member) => nodeOfMember(member, view, nodes) === undefined);
}

function isArchiverFailing({ server }: NodeObservation): boolean {
  const { lastFailedTime, lastArchivedTime } = server?.archiver ?? {};
  return lastFailedTime !== undefined && (lastArchivedTime === undefined || lastFailedTime > lastArchivedTime);
}

/** One screen; the first line is the answer. */
export function renderStatus(status: ClusterStatus, timezone: string | undefined): string {
  const time = (instant: Instant) =>
    `${formatInstantUtc(instant, { fraction: 'none' })}${timezone === undefined ? '' : ` (${formatInstantLocal(instant, timezone)})`}`;
  return [
    firstLine(status, time),
    '',
    renderTable(['NODE', 'ROLE', 'TIMELINE', 'LSN', 'FROM', 'LAG', 'ARCHIVE'], nodeRows(status, archiveState)),
    '',
    ...(status.slots.length === 0 ? [] : [renderTable(['SLOT', 'ON', 'OF', 'STATE', 'HOLDS', 'FORECAST'], slotRows(status)), '']),
    ...poolerLines(status),
    ...patroniLines(status.patroni, namesOf(status)),
    renderTable(
      ['REPOSITORY', 'RECOVERABLE FROM', 'TO', 'GAPS', 'ARCHIVE', 'LAST BACKUP'],
      status.repositories.map((repository) => repositoryRow(repository, status.now, time)),
    ),
    ...nextRunLine(status, time),
    ...status.repositories.flatMap((repository) =>
      repository.gaps.map((gap) => `gap in ${repository.repository}: WAL ${gap.firstMissing} to ${gap.lastMissing} is missing`),
    ),
    ...status.findings.filter(({ code }) => code !== 'archive-unknown').flatMap(findingLines),
  ].join('\n');
}

function firstLine(status: ClusterStatus, time: (instant: Instant) => string): string {
  if (status.recoverable === undefined) return 'Not recoverable: no repository holds a usable backup';
  const { from, to } = status.recoverable;
  const end = to === undefined ? 'the end of the archive' : `${time(to)} (${formatAge(to, status.now)})`;
  return `Recoverable ${time(from)} → ${end}, ${status.hasGaps ? 'gaps' : 'no gaps'}`;
}

function archiveState(server: NonNullable<NodeObservation['server']>): string {
  const { archiver, settings } = server;
  if (settings['archive_mode'] === 'off') return 'off';
  if (isArchiverFailing({ server } as NodeObservation)) return `failing at ${archiver.lastFailedWal ?? '?'}`;
  return archiver.lastArchivedWal === undefined ? 'nothing archived yet' : `ok, last ${archiver.lastArchivedWal}`;
}

function repositoryRow(repository: RepositoryStatus, now: Instant, time: (instant: Instant) => string): string[] {
  if (repository.unreadable !== undefined)
    return [repository.repository, 'unreadable', '', '', archiveCell(repository.archive), repository.unreadable];
  const first = repository.windows[0];
  const { lastBackup } = repository;
  return [
    repository.repository,
    first === undefined ? 'nothing' : time(first.from),
    first?.to === undefined ? '' : time(first.to),
    repository.gaps.length === 0 ? 'none' : String(repository.gaps.length),
    archiveCell(repository.archive),
    lastBackup === undefined
      ? 'none'
      : `${lastBackup.type} ${formatAge(lastBackup.stopTime, now)}, ${formatBytes(lastBackup.databaseBytes)}`,
  ];
}

/** The status as JSON. */
export function statusToJson(status: ClusterStatus, engineOf: EngineOf) {
  const iso = (instant: Instant | undefined) => (instant === undefined ? null : formatInstantIso(instant));
  return {
    now: formatInstantIso(status.now),
    recoverable: status.recoverable === undefined ? null : { from: iso(status.recoverable.from), to: iso(status.recoverable.to) },
    gaps: status.hasGaps,
    findings: status.findings.map(findingToJson),
    nodes: status.nodes.map(({ node, server, unreachable, hostFault }) => ({
      name: node.name,
      role: server === undefined ? 'unreachable' : server.inRecovery ? 'standby' : 'primary',
      unreachable: unreachable ?? null,
      ...(hostFault === undefined ? {} : { hostFault }),
      state: nodeOf(status.topology, node.name)?.role ?? 'unreachable',
      upstream: upstreamToJson(nodeOf(status.topology, node.name)),
      lag: lagToJson(status.lags.get(node.name)),
      ...(server === undefined ? {} : nodeToJson(server)),
    })),
    systemIdentifier: status.topology.systemIdentifier === undefined ? null : String(status.topology.systemIdentifier),
    primary: status.topology.primary?.node ?? null,
    slots: status.slots.map(slotToJson),
    pgbouncer: status.poolers.map(({ name, state, detail }) => ({ name, state, detail: detail ?? null })),
    patroni: patroniToJson(status.patroni, namesOf(status)),
    nextRuns: status.nextRuns.map(({ schedule, kind, type, at }) => ({ schedule, kind, type: type ?? null, at: iso(at) })),
    repositories: status.repositories.map((repository) => ({
      name: repository.repository,
      kind: repository.kind,
      engine: engineOf(repository.repository) ?? null,
      unreadable: repository.unreadable ?? null,
      archive: archiveToJson(repository.archive),
      windows: repository.windows.map((window) => ({
        timeline: window.timeline,
        from: iso(window.from),
        to: iso(window.to),
        fromLsn: formatLsn(window.fromLsn),
        toLsn: formatLsn(window.toLsn),
        backups: window.backups,
      })),
      gaps: repository.gaps.map((gap) => ({
        timeline: gap.timeline,
        firstMissing: gap.firstMissing,
        lastMissing: gap.lastMissing,
        from: iso(gap.before),
        to: iso(gap.after),
      })),
      lastBackup: repository.lastBackup === undefined ? null : backupToJson(repository.lastBackup, engineOf),
      tail: repository.tail === undefined ? null : tailToJson(repository.tail),
    })),
  };
}

/** Streamed WAL: from which segment to which, and until when everything that came from the primary is in it. */
function tailToJson({ segments, segmentSizeBytes, at }: WalTail) {
  const names = segments.map(({ timeline, segmentNumber }) => walSegmentName(timeline, segmentNumber, segmentSizeBytes));
  const last = segments.at(-1);
  const endLsn = last === undefined ? undefined : (last.endLsn ?? segmentStartLsn(last.segmentNumber + 1n, segmentSizeBytes));
  return {
    firstSegment: names[0] ?? null,
    lastSegment: names.at(-1) ?? null,
    endLsn: endLsn === undefined ? null : formatLsn(endLsn),
    at: formatInstantIso(at),
  };
}

function nodeToJson(server: NonNullable<NodeObservation['server']>) {
  const { archiver } = server;
  return {
    timeline: server.timeline,
    lsn: server.lsn === undefined ? null : formatLsn(server.lsn),
    systemIdentifier: String(server.systemIdentifier),
    postgresMajor: server.postgresMajor,
    archive: {
      mode: server.settings['archive_mode'] ?? null,
      lastArchivedWal: archiver.lastArchivedWal ?? null,
      lastArchivedTime: archiver.lastArchivedTime === undefined ? null : formatInstantIso(archiver.lastArchivedTime),
      lastFailedWal: archiver.lastFailedWal ?? null,
      lastFailedTime: archiver.lastFailedTime === undefined ? null : formatInstantIso(archiver.lastFailedTime),
      failing: isArchiverFailing({ server } as NodeObservation),
    },
    standbys: server.replication.map((standby) => ({
      name: standby.applicationName,
      state: standby.state,
      syncState: standby.syncState,
      replayLsn: standby.replayLsn === undefined ? null : formatLsn(standby.replayLsn),
    })),
  };
}
