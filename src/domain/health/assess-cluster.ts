import { formatBytes } from '../bytes.ts';
import { formatDuration } from '../time/duration.ts';
import { secondsBetween } from '../time/instant.ts';
import type { ClusterNode, Topology } from '../topology/topology.ts';
import type { ClockReading, ClusterFacts } from './cluster-facts.ts';
import { connectionFindings } from './connection-findings.ts';
import type { HealthFinding } from './finding.ts';
import { lagFindings } from './lag-findings.ts';
import { patroniFindings } from './patroni-findings.ts';
import { poolerFindings } from './pooler-findings.ts';
import { settingFindings } from './setting-findings.ts';
import { replicationSlotFindings } from './slot-findings.ts';

const TOLERATED_SKEW_SECONDS = 5;
const GIBIBYTE = 1024n ** 3n;
const LOW_BYTES = { warning: GIBIBYTE, critical: GIBIBYTE / 4n };

/** Everything that is the matter with the nodes of a cluster, what is critical first. Pure. */
export function assessCluster(facts: ClusterFacts): readonly HealthFinding[] {
  const { topology } = facts;
  const findings = [
    ...primaryFindings(topology),
    ...topology.nodes.flatMap(nodeFindings),
    ...connectionFindings(facts),
    ...lagFindings(facts),
    ...replicationSlotFindings(facts),
    ...settingFindings(topology),
    ...poolerFindings(facts.poolers, topology),
    ...patroniFindings(facts.patroni, topology),
    ...facts.clocks.flatMap(clockFindings),
    ...diskFindings(facts),
    ...versionFindings(facts),
  ];
  return findings.toSorted((left, right) => Number(left.severity === 'warning') - Number(right.severity === 'warning'));
}

function primaryFindings({ primaries, nodes, standbys }: Topology): readonly HealthFinding[] {
  const roles = nodes.map(({ node, role }) => `${node}: ${role}`);
  if (primaries.length > 1)
    return [
      {
        code: 'primaries-several',
        severity: 'critical',
        message: `several servers accept writes: ${primaries.map(({ node }) => node).join(', ')}`,
        evidence: roles,
        cause: 'A standby was promoted and the old primary not stopped: what is written to one is missing on the other.',
        nextCommand: 'spoke-backup status',
      },
    ];
  if (primaries.length === 1) return [];
  return [
    {
      code: 'primary-missing',
      severity: 'critical',
      message: 'no primary answers',
      evidence: roles,
      cause: 'The primary is down or cannot be reached, or nobody was promoted.',
      nextCommand: standbys.length > 0 ? 'spoke-backup failover --dry-run' : 'spoke-backup status',
    },
  ];
}

function nodeFindings(node: ClusterNode): readonly HealthFinding[] {
  switch (node.role) {
    case 'primary':
    case 'standby':
      return [];
    case 'stranger':
      return [
        {
          code: 'cluster-other',
          severity: 'critical',
          node: node.node,
          message: `${node.node} is of another cluster: nothing is done to it`,
          evidence: [`system identifier ${node.systemIdentifier}`],
          cause: 'The configuration names the wrong server, or its data directory was made anew by initdb.',
          nextCommand: 'spoke-backup status',
        },
      ];
    case 'stopped':
      return [
        {
          code: 'node-down',
          severity: 'critical',
          node: node.node,
          message: `no server runs on ${node.node}; started, it would be a ${node.wouldBe}`,
          evidence: [`pg_controldata: ${node.files.state}, timeline ${node.files.timeline}`, ...unreachable(node)],
          cause: node.files.state.startsWith('shut down') ? 'It was shut down.' : 'It died, or its machine did.',
          nextCommand: node.wouldBe === 'standby' ? `spoke-backup reseed ${node.node} --dry-run` : 'spoke-backup status',
        },
      ];
    case 'unreachable':
      return [
        {
          code: 'node-unreachable',
          severity: 'critical',
          node: node.node,
          message: `${node.node} does not answer`,
          evidence: [node.reason],
          cause: 'It is down, the network is, or it does not let this program in.',
          nextCommand: 'spoke-backup config check --online',
        },
      ];
  }
}

function unreachable({ facts }: ClusterNode): readonly string[] {
  return facts.unreachable === undefined ? [] : [facts.unreachable];
}

/** Outside of what lies between our two looks, and not by the little that clocks differ. */
function clockFindings({ node, serverTime, before, after }: ClockReading): readonly HealthFinding[] {
  const ahead = secondsBetween(after, serverTime);
  const behind = secondsBetween(serverTime, before);
  const off = Math.max(ahead, behind);
  if (off <= TOLERATED_SKEW_SECONDS) return [];
  return [
    {
      code: 'clock-skew',
      severity: 'warning',
      node,
      message: `the clock of ${node} is ${formatDuration(off)} ${ahead > behind ? 'ahead of' : 'behind'} the one of this host`,
      evidence: [`clock_timestamp() on ${node}: ${formatDuration(off)} outside of the time of the question`],
      cause: 'Time is not synchronised on one of them: a restore to an instant means the instants of the primary.',
      nextCommand: `timedatectl status   (on ${node} and here)`,
    },
  ];
}

function diskFindings({ disks }: ClusterFacts): readonly HealthFinding[] {
  return disks
    .filter(({ freeBytes }) => freeBytes < LOW_BYTES.warning)
    .map(({ node, path, freeBytes }) => ({
      code: 'disk-low',
      severity: freeBytes < LOW_BYTES.critical ? 'critical' : 'warning',
      node,
      message: `only ${formatBytes(freeBytes)} are free where the data of ${node} is: PostgreSQL stops when nothing is`,
      evidence: [`${path}: ${freeBytes} bytes free`],
      cause: 'Data, WAL that is kept for a slot or for the archive, old data directories, or something else on that file system.',
      nextCommand: `df -h ${path}`,
    }));
}

/** The same program in several versions. */
function versionFindings({ versions }: ClusterFacts): readonly HealthFinding[] {
  return [...new Set(versions.map(({ tool }) => tool))].flatMap((tool): HealthFinding[] => {
    const ends = versions.filter((one) => one.tool === tool);
    if (new Set(ends.map(({ version }) => version)).size <= 1) return [];
    return [
      {
        code: 'version-mismatch',
        severity: tool === 'postgresql' ? 'warning' : 'critical',
        message: `${tool} is not the same everywhere`,
        evidence: ends.map(({ at, version }) => `${at}: ${version}`),
        cause:
          tool === 'postgresql'
            ? 'An upgrade has reached some of the nodes only; standbys first is the order that PostgreSQL recommends.'
            : 'Both ends have to be of the same version to talk to each other.',
        nextCommand: `apt-cache policy ${tool}`,
      },
    ];
  });
}
