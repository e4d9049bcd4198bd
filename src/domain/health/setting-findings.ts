import { NOT_LOWER_ON_STANDBYS } from '../setup/withheld.ts';
import type { ClusterNode, PrimaryNode, ServerFacts, StandbyNode, Topology } from '../topology/topology.ts';
import type { ClusterHealthCode } from './cluster-codes.ts';
import type { HealthFinding } from './finding.ts';

/** Settings with which data, a standby, or the way back is in danger. */
export function settingFindings({ nodes, primary, standbys }: Topology): readonly HealthFinding[] {
  return [
    ...nodes.flatMap(({ node, facts: { server } }) => (server === undefined ? [] : ofEvery(node, server))),
    ...(primary === undefined ? [] : [...ofPrimary(primary, standbys), ...standbys.flatMap((one) => ofStandby(one, primary))]),
  ];
}

function ofEvery(node: string, { settings, inRecovery }: ServerFacts): readonly HealthFinding[] {
  const { fsync, full_page_writes: pages, wal_log_hints: hints, data_checksums: checksums } = settings;
  return [
    ...(fsync === 'off'
      ? [
          finding(
            'setting-dangerous',
            node,
            { fsync },
            'what is committed does not survive a crash',
            setAndReload(node, 'fsync', 'on'),
            'critical',
          ),
        ]
      : []),
    ...(pages === 'off'
      ? [
          finding(
            'setting-dangerous',
            node,
            { full_page_writes: pages },
            'a crash can leave torn pages',
            setAndReload(node, 'full_page_writes', 'on'),
            'critical',
          ),
        ]
      : []),
    ...(hints === 'off' && checksums === 'off'
      ? [
          finding(
            'setting-unfit',
            node,
            { wal_log_hints: hints },
            'without data checksums pg_rewind cannot bring it back',
            inRecovery ? setUpReplica(node) : SET_UP_PRIMARY,
          ),
        ]
      : []),
  ];
}

function ofPrimary({ node, server }: PrimaryNode, standbys: readonly StandbyNode[]): readonly HealthFinding[] {
  const { settings, replication } = server;
  const { wal_level: level, max_wal_senders: most, max_slot_wal_keep_size: keep, synchronous_standby_names: names } = settings;
  const senders = replication?.senders ?? [];
  const hasSlots = replication?.slots.some(({ kind }) => kind === 'physical') ?? false;
  const isWaiting = names !== undefined && names !== '' && !senders.some(({ syncState }) => syncState === 'sync' || syncState === 'quorum');
  return [
    ...(level === 'minimal'
      ? [finding('setting-unfit', node, { wal_level: level }, 'no standby can follow it', SET_UP_PRIMARY, 'critical')]
      : []),
    ...(most !== undefined && standbys.length > 0 && Number(most) <= senders.length
      ? [finding('setting-unfit', node, { max_wal_senders: most }, `all ${senders.length} are taken`, moreSenders(node, Number(most)))]
      : []),
    ...(hasSlots && keep === '-1'
      ? [
          finding(
            'setting-unfit',
            node,
            { max_slot_wal_keep_size: keep },
            'the slot of a standby that is away fills the disk',
            SET_UP_PRIMARY,
          ),
        ]
      : []),
    ...(isWaiting
      ? [
          finding(
            'commits-wait',
            node,
            { synchronous_standby_names: names },
            'no synchronous standby is connected: commits wait',
            'spoke-backup status',
            'critical',
          ),
        ]
      : []),
  ];
}

function ofStandby({ node, server }: StandbyNode, primary: PrimaryNode): readonly HealthFinding[] {
  const { settings } = server;
  const lower = NOT_LOWER_ON_STANDBYS.filter((name) => {
    const [own, others] = [settings[name], primary.server.settings[name]];
    return own !== undefined && others !== undefined && Number(own) < Number(others);
  });
  const target = settings['recovery_target_timeline'];
  return [
    ...lower.map((name) =>
      finding(
        'setting-unfit',
        node,
        { [name]: settings[name] ?? '' },
        `lower than on the primary (${primary.server.settings[name]}): replay stops`,
        setUpReplica(node),
        'critical',
      ),
    ),
    ...(target !== undefined && target !== '' && target !== 'latest'
      ? [
          finding(
            'setting-unfit',
            node,
            { recovery_target_timeline: target },
            'it does not follow a new primary after a failover',
            setUpReplica(node),
          ),
        ]
      : []),
  ];
}

const SET_UP_PRIMARY = 'spoke-backup setup primary --dry-run';
const setUpReplica = (node: string) => `spoke-backup setup replica ${node} --dry-run`;
const setAndReload = (node: string, name: string, value: string) =>
  `psql -c "ALTER SYSTEM SET ${name} = ${value}" -c "SELECT pg_reload_conf()"   (on ${node})`;
const moreSenders = (node: string, most: number) =>
  `psql -c "ALTER SYSTEM SET max_wal_senders = ${most * 2}"   (on the standbys, then on ${node}; each is restarted for it)`;

/** `setting`: the one that it is about, as it is. */
function finding(
  code: ClusterHealthCode,
  node: ClusterNode['node'],
  setting: Readonly<Record<string, string>>,
  why: string,
  nextCommand: string,
  severity: HealthFinding['severity'] = 'warning',
): HealthFinding {
  const [name = '', value = ''] = Object.entries(setting)[0] ?? [];
  return {
    code,
    severity,
    node,
    message: `${name} on ${node} is ${value}: ${why}`,
    evidence: [`pg_settings: ${name} = ${value}`],
    cause: 'It was set so, or never set.',
    nextCommand,
  };
}
