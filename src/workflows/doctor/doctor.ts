import type { ClusterConfig } from '../../config/model.ts';
import { assessCluster } from '../../domain/health/assess-cluster.ts';
import type { ClusterFacts, ToolVersion } from '../../domain/health/cluster-facts.ts';
import type { HealthCode, HealthFinding } from '../../domain/health/finding.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { NodeObservation } from '../observe-cluster.ts';
import { type ClusterStatus, observeStatus, type StatusOptions } from '../status/status.ts';

/** What is the matter with a cluster. */
export interface Diagnosis {
  readonly now: Instant;
  /** What is critical first. */
  readonly findings: readonly HealthFinding[];
  /** What could not be looked at, a line each: nothing is said of it. */
  readonly blind: readonly string[];
}

const MEBIBYTE = 1024n * 1024n;
const MOST_LOG_BYTES = 64 * 1024;
/** Said of the archive's primary; here they are said with whom they are for. */
const SAID_BETTER: readonly HealthCode[] = ['slot-lost', 'slot-retains-wal'];

/** Looks at everything and judges it; changes nothing. */
export async function diagnose(
  cluster: ClusterConfig,
  options: StatusOptions,
  ports: ReadPorts,
  context: OperationContext,
): Promise<Diagnosis> {
  const before = ports.clock.now();
  const status = await observeStatus(cluster, options, ports, context);
  const after = ports.clock.now();
  const logs = await readLogs(status.nodes, ports);
  const findings = [
    ...status.findings.filter(({ code }) => !SAID_BETTER.includes(code)),
    ...assessCluster(factsOf(cluster, status, logs, { before, after })),
  ];
  return { now: after, findings: criticalFirst(findings), blind: blindSpots(status, logs) };
}

/** Of the servers that run on this machine. A log that may not be read tells nothing, and that is all. */
async function readLogs(nodes: readonly NodeObservation[], { instance }: ReadPorts): Promise<ReadonlyMap<string, string>> {
  const logs = new Map<string, string>();
  for (const { node, directory } of nodes) {
    const running = directory?.running;
    if (directory === undefined || running === undefined) continue;
    const server = { dataDirectory: directory.realPath, ...(running.pid === undefined ? {} : { pid: running.pid }) };
    const log = await instance.readServerLog(server, MOST_LOG_BYTES).catch(() => '');
    if (log !== '') logs.set(node.name, log);
  }
  return logs;
}

function factsOf(
  cluster: ClusterConfig,
  { now, topology, lags, nodes, slots, poolers, patroni }: ClusterStatus,
  logs: ReadonlyMap<string, string>,
  { before, after }: { readonly before: Instant; readonly after: Instant },
): ClusterFacts {
  return {
    now,
    topology,
    lags,
    logs,
    clocks: nodes.flatMap(({ node, server }) =>
      server === undefined ? [] : [{ node: node.name, serverTime: server.serverTime, before, after }],
    ),
    disks: nodes.flatMap(({ node, directory }) =>
      directory === undefined || directory.kind === 'absent'
        ? []
        : [{ node: node.name, path: directory.path, freeBytes: directory.freeBytes }],
    ),
    forecasts: slots.flatMap(({ node, slot, forecast }) => (forecast === undefined ? [] : [{ node, slot: slot.name, forecast }])),
    versions: nodes.flatMap(versionOf),
    poolers,
    ...(patroni === undefined ? {} : { patroni }),
    maxLagBytes: BigInt(cluster.reseed.maxLagMib) * MEBIBYTE,
    ownSlots: cluster.wal.streaming ? [cluster.wal.slot] : [],
  };
}

/** Without what a distribution appends to it. */
function versionOf({ node, server }: NodeObservation): readonly ToolVersion[] {
  const version = server?.settings['server_version']?.split(' ')[0];
  return version === undefined ? [] : [{ tool: 'postgresql', at: node.name, version }];
}

function blindSpots({ topology, nodes, poolers }: ClusterStatus, logs: ReadonlyMap<string, string>): readonly string[] {
  const unread = topology.standbys.filter(({ node }) => !logs.has(node)).map(({ node }) => node);
  const hidden = nodes.filter(({ server }) => server !== undefined && server.dataDirectory === undefined).map(({ node }) => node.name);
  return [
    ...(unread.length === 0 ? [] : [`the logs of ${unread.join(', ')} cannot be read from here`]),
    ...poolers.flatMap(({ name, state, detail }) =>
      state === 'unknown' ? [`PgBouncer ${name} could not be asked: ${detail ?? 'unknown'}`] : [],
    ),
    ...(hidden.length === 0 ? [] : [`the role may not read all settings of ${hidden.join(', ')} (GRANT pg_monitor)`]),
  ];
}

function criticalFirst(findings: readonly HealthFinding[]): readonly HealthFinding[] {
  return findings.toSorted((left, right) => Number(left.severity === 'warning') - Number(right.severity === 'warning'));
}
