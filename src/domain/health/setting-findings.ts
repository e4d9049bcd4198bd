import type { ClusterNode, PrimaryNode, ServerFacts, StandbyNode, Topology } from '../topology/topology.ts';
import type { ClusterHealthCode } from './cluster-codes.ts';
import type { HealthFinding } from './finding.ts';

/** Replay stops where one of them is lower on a standby than it was on the primary (PostgreSQL: CheckRequiredParameterValues). */
const NOT_LOWER = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
] as const;

/** Settings with which data, a standby, or the way back is in danger. */
export function settingFindings({ nodes, primary, standbys }: Topology): readonly HealthFinding[] {
  return [
    ...nodes.flatMap(({ node, facts: { server } }) => (server === undefined ? [] : ofEvery(node, server))),
    ...(primary === undefined ? [] : [...ofPrimary(primary, standbys), ...standbys.flatMap((one) => ofStandby(one, primary))]),
  ];
}

function ofEvery(node: string, { settings }: ServerFacts): readonly HealthFinding[] {
  const { fsync, full_page_writes: pages, wal_log_hints: hints, data_checksums: checksums } = settings;
  return [
    ...(fsync === 'off'
      ? [finding('setting-dangerous', node, 'fsync', fsync, 'what is committed does not survive a crash', 'critical')]
      : []),
    ...(pages === 'off' ? [finding('setting-dangerous', node, 'full_page_writes', pages, 'a crash can leave torn pages', 'critical')] : []),
    ...(hints === 'off' && checksums === 'off'
      ? [finding('setting-unfit', node, 'wal_log_hints', hints, 'without data checksums pg_rewind cannot bring it back')]
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
    ...(level === 'minimal' ? [finding('setting-unfit', node, 'wal_level', level, 'no standby can follow it', 'critical')] : []),
    ...(most !== undefined && standbys.length > 0 && Number(most) <= senders.length
      ? [finding('setting-unfit', node, 'max_wal_senders', most, `all ${senders.length} are taken`)]
      : []),
    ...(hasSlots && keep === '-1'
      ? [finding('setting-unfit', node, 'max_slot_wal_keep_size', keep, 'the slot of a standby that is away fills the disk')]
      : []),
    ...(isWaiting
      ? [finding('commits-wait', node, 'synchronous_standby_names', names, 'no synchronous standby is connected: commits wait', 'critical')]
      : []),
  ];
}

function ofStandby({ node, server }: StandbyNode, primary: PrimaryNode): readonly HealthFinding[] {
  const { settings } = server;
  const lower = NOT_LOWER.filter((name) => {
    const [own, others] = [settings[name], primary.server.settings[name]];
    return own !== undefined && others !== undefined && Number(own) < Number(others);
  });
  const target = settings['recovery_target_timeline'];
  return [
    ...lower.map((name) =>
      finding(
        'setting-unfit',
        node,
        name,
        settings[name] ?? '',
        `lower than on the primary (${primary.server.settings[name]}): replay stops`,
        'critical',
      ),
    ),
    ...(target !== undefined && target !== '' && target !== 'latest'
      ? [finding('setting-unfit', node, 'recovery_target_timeline', target, 'it does not follow a new primary after a failover')]
      : []),
  ];
}

function finding(
  code: ClusterHealthCode,
  node: ClusterNode['node'],
  name: string,
  value: string,
  why: string,
  severity: HealthFinding['severity'] = 'warning',
): HealthFinding {
  return {
    code,
    severity,
    node,
    message: `${name} on ${node} is ${value}: ${why}`,
    evidence: [`pg_settings: ${name} = ${value}`],
    cause: 'It was set so, or never set.',
    nextCommand: 'spoke-backup setup primary --dry-run',
  };
}
