import type { Pooler } from '../pgbouncer/pooler.ts';
import type { ClusterNode, Topology } from '../topology/topology.ts';
import type { HealthFinding } from './finding.ts';

/** PgBouncers through which applications cannot write: away, paused, or in front of a server that is not the primary. */
export function poolerFindings(poolers: readonly Pooler[], topology: Topology): readonly HealthFinding[] {
  return poolers.flatMap((pooler) => {
    if (pooler.state === 'unreachable') return [unreachable(pooler)];
    const paused = pooler.state === 'paused' ? [pausedOne(pooler)] : [];
    return [...paused, ...misled(pooler, topology)];
  });
}

function unreachable({ name, detail }: Pooler): HealthFinding {
  return {
    code: 'pgbouncer-unreachable',
    severity: 'critical',
    message: `PgBouncer ${name} does not answer`,
    evidence: detail === undefined ? [] : [detail],
    cause: 'It is down, the network is, or its user list does not have the administrator of the configuration.',
    nextCommand: 'spoke-backup setup pgbouncer',
  };
}

function pausedOne({ name, detail }: Pooler): HealthFinding {
  return {
    code: 'pgbouncer-paused',
    severity: 'critical',
    message: `PgBouncer ${name} is paused: clients wait`,
    evidence: [`SHOW DATABASES: ${detail ?? 'paused'}`],
    cause: 'A change of the cluster is under way or was left half done, or somebody gave PAUSE: RESUME on its console lets them go.',
    nextCommand: 'spoke-backup runs',
  };
}

/** By address, and only where the server is known to be another node: what is written in two ways may be the same server. */
function misled({ name, writers }: Pooler, { primary, nodes }: Topology): readonly HealthFinding[] {
  if (primary === undefined) return [];
  return writers.flatMap(({ database, host, port }) => {
    const others = nodes.filter((node) => isAt(node, host, port));
    if (others.length === 0 || others.some(({ node }) => node === primary.node)) return [];
    return [
      {
        code: 'pgbouncer-wrong-primary',
        severity: 'critical',
        node: primary.node,
        message: `PgBouncer ${name} sends ${database} to ${others.map(({ node }) => node).join(', ')}, and the primary is ${primary.node}`,
        evidence: [`SHOW DATABASES: ${database} is at ${host}:${port}`],
        cause: 'Another server became the primary, and PgBouncer was not told.',
        nextCommand: 'spoke-backup setup pgbouncer',
      },
    ];
  });
}

function isAt({ facts: { address } }: ClusterNode, host: string, port: number): boolean {
  return address?.host === host && address.port === port;
}
