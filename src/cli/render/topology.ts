import { formatBytes } from '../../domain/bytes.ts';
import { formatLsn } from '../../domain/postgres/lsn.ts';
import { formatDuration } from '../../domain/time/duration.ts';
import { formatAge, formatInstantIso, type Instant } from '../../domain/time/instant.ts';
import type { ReplicationLag } from '../../domain/topology/lag.ts';
import type { ClusterNode, Upstream } from '../../domain/topology/topology.ts';
import type { ServerObservation } from '../../ports/postgres-server.ts';
import type { SlotStatus } from '../../workflows/status/slots.ts';
import type { ClusterStatus } from '../../workflows/status/status.ts';

/** Name, role, timeline, position, whom it streams from, how far it is behind, and the archiver or why it does not answer. */
export function nodeRows(status: ClusterStatus, archiverOf: (server: ServerObservation) => string): string[][] {
  const seen = new Map(status.nodes.map((one) => [one.node.name, one]));
  return status.topology.nodes.map((node) => {
    const { server, hostFault = '' } = seen.get(node.node) ?? {};
    const notes = (first: string) => [first, hostFault].filter((note) => note !== '').join('; ');
    const role = [node.node, roleCell(node)];
    if (server === undefined) return [...role, timelineOfFiles(node), '', '', '', notes(whyNot(node))];
    const position = [String(server.timeline), server.lsn === undefined ? '' : formatLsn(server.lsn)];
    if (!server.inRecovery) return [...role, ...position, '', '', notes(archiverOf(server))];
    return [
      ...role,
      ...position,
      node.role === 'standby' ? upstreamCell(node.upstream) : '',
      lagCell(status.lags.get(node.node)),
      notes(''),
    ];
  });
}

function roleCell(node: ClusterNode): string {
  if (node.role === 'stopped') return `stopped ${node.wouldBe}`;
  return node.role === 'stranger' ? 'OTHER CLUSTER' : node.role;
}

function timelineOfFiles(node: ClusterNode): string {
  return node.role === 'stopped' ? String(node.files.timeline) : '';
}

function whyNot(node: ClusterNode): string {
  if (node.role === 'unreachable') return node.reason;
  return node.role === 'stopped' ? `${node.files.state}; ${node.facts.unreachable ?? 'it does not answer'}` : '';
}

function upstreamCell(upstream: Upstream): string {
  switch (upstream.kind) {
    case 'node':
      return upstream.node;
    case 'elsewhere':
      return `${upstream.host}${upstream.port === undefined ? '' : `:${upstream.port}`}`;
    case 'hidden':
      return '?';
    case 'none':
      return 'nobody';
  }
}

/** `none`, or bytes and seconds: `12 MiB, 3.2 s`. */
function lagCell(lag: ReplicationLag | undefined): string {
  if (lag === undefined) return '?';
  if (lag.bytes === 0n) return 'none';
  return `${formatBytes(lag.bytes)}${lag.seconds === undefined ? '' : `, ${formatDuration(lag.seconds)}`}`;
}

export function slotRows({ slots, now }: ClusterStatus): string[][] {
  return slots.map(({ node, slot, of, forecast }) => [
    slot.name,
    node,
    of ?? '-',
    `${slot.active ? 'active' : 'inactive'}${slot.walStatus === undefined ? '' : `, ${slot.walStatus}`}`,
    slot.retainedBytes === undefined || slot.retainedBytes < 0n ? '' : formatBytes(slot.retainedBytes),
    forecast === undefined ? '' : `${forecast.kind} ${formatAge(forecast.at, now)}`,
  ]);
}

/** A line for each pool, and an empty one behind. */
export function poolerLines({ poolers }: ClusterStatus): readonly string[] {
  if (poolers.length === 0) return [];
  return [...poolers.map(({ name, state, detail }) => `pgbouncer ${name}: ${state}${detail === undefined ? '' : `, ${detail}`}`), ''];
}

/** What comes next of all that is scheduled, the soonest first. */
export function nextRunLine({ nextRuns, now }: ClusterStatus, time: (instant: Instant) => string): readonly string[] {
  const due = nextRuns.flatMap((run) => (run.at === undefined ? [] : [{ ...run, at: run.at }]));
  const sorted = due.toSorted((left, right) => Number(left.at - right.at));
  return sorted.slice(0, 3).map(({ schedule, at }) => `next: ${schedule} ${formatAge(at, now)}, ${time(at)}`);
}

export function upstreamToJson(node: ClusterNode | undefined) {
  if (node?.role !== 'standby') return null;
  const { upstream } = node;
  switch (upstream.kind) {
    case 'node':
      return { kind: upstream.kind, node: upstream.node };
    case 'elsewhere':
      return { kind: upstream.kind, host: upstream.host, port: upstream.port ?? null };
    case 'hidden':
    case 'none':
      return { kind: upstream.kind };
  }
}

export function lagToJson(lag: ReplicationLag | undefined) {
  if (lag === undefined) return null;
  const { bytes, receiveBytes, replayBytes, seconds } = lag;
  return { bytes: Number(bytes), receiveBytes: Number(receiveBytes), replayBytes: Number(replayBytes), seconds: seconds ?? null };
}

export function slotToJson({ node, slot, of, forecast }: SlotStatus) {
  return {
    name: slot.name,
    node,
    of: of ?? null,
    kind: slot.kind,
    active: slot.active,
    walStatus: slot.walStatus ?? null,
    restartLsn: slot.restartLsn === undefined ? null : formatLsn(slot.restartLsn),
    retainedBytes: slot.retainedBytes === undefined ? null : Number(slot.retainedBytes),
    safeWalBytes: slot.safeWalBytes === undefined ? null : Number(slot.safeWalBytes),
    forecast: forecast === undefined ? null : { kind: forecast.kind, at: formatInstantIso(forecast.at) },
  };
}
