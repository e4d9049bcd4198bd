import type { StandbyNode, Topology } from '../topology/topology.ts';
import type { ClusterHealthCode } from './cluster-codes.ts';
import type { ClusterFacts } from './cluster-facts.ts';
import type { HealthFinding } from './finding.ts';
import { lastReplicationTrouble, type ReplicationTrouble, type TroubleKind } from './replication-trouble.ts';

/**
 * Why standbys receive nothing. What the primary shows now counts before what the log says, which may be older. Where no primary answers
 * that nobody reaches it is no finding of its own.
 */
export function connectionFindings(facts: ClusterFacts): readonly HealthFinding[] {
  const { primaries, standbys } = facts.topology;
  const findings = standbys.filter((standby) => !streams(standby)).flatMap((standby) => whyNot(standby, facts));
  return findings.filter(({ code }) => primaries.length > 0 || (code !== 'replica-network' && code !== 'replica-not-connected'));
}

/** Without the right to look (pg_read_all_stats) a receiver that is there counts as one that streams. */
function streams({ server }: StandbyNode): boolean {
  const { receiver } = server.replication ?? {};
  return server.replication === undefined || (receiver !== undefined && (receiver.status ?? 'streaming') === 'streaming');
}

function whyNot(standby: StandbyNode, facts: ClusterFacts): readonly HealthFinding[] {
  const { topology } = facts;
  const log = facts.logs.get(standby.node);
  const trouble = log === undefined ? undefined : lastReplicationTrouble(log);
  const found =
    wrongPrimary(standby, topology) ?? missingSlot(standby, topology) ?? ofLog(standby, trouble) ?? unknown(standby, topology, log);
  return hasLostSlot(standby, topology) ? [] : [found];
}

/** That is told of the slot itself. */
function hasLostSlot({ server }: StandbyNode, { primary }: Topology): boolean {
  const slot = server.settings['primary_slot_name'];
  return primary?.server.replication?.slots.some(({ name, walStatus }) => name === slot && walStatus === 'lost') ?? false;
}

function wrongPrimary(standby: StandbyNode, topology: Topology): HealthFinding | undefined {
  const { host, port = 5432 } = standby.server.replication?.primaryConnection ?? {};
  if (host === undefined || topology.primary === undefined) return undefined;
  const target = topology.nodes.find(({ facts }) => facts.address?.host === host && facts.address.port === port);
  const isFit = target === undefined || target.role === 'primary' || (target.role === 'standby' && target.node !== standby.node);
  if (isFit) return undefined;
  return finding(standby, 'replica-wrong-primary', {
    message: `${standby.node} follows ${target.node === standby.node ? 'itself' : target.node}, which is no server to follow: the primary is ${topology.primary.node}`,
    evidence: [`primary_conninfo: host=${host} port=${port}`, `${target.node}: ${target.role}`],
    cause: 'It was not repointed when the primary changed.',
    nextCommand: `spoke-backup reseed ${standby.node} --dry-run`,
  });
}

function missingSlot(standby: StandbyNode, { primary }: Topology): HealthFinding | undefined {
  const slot = standby.server.settings['primary_slot_name'];
  const slots = primary?.server.replication?.slots;
  if (slot === undefined || slot === '' || slots === undefined || primary === undefined) return undefined;
  if (slots.some(({ name }) => name === slot)) return undefined;
  return finding(standby, 'replica-slot-missing', {
    message: `${standby.node} does not stream: ${primary.node} has no replication slot ${slot}`,
    evidence: [`primary_slot_name: ${slot}`, `slots on ${primary.node}: ${slots.map(({ name }) => name).join(', ') || 'none'}`],
    cause: 'The slot was dropped, or the primary is a new one that never had it.',
    nextCommand: `psql -c "SELECT pg_create_physical_replication_slot('${slot}', true)"`,
  });
}

interface Wording {
  readonly code: ClusterHealthCode;
  readonly what: string;
  readonly cause: string;
  readonly next: (node: string) => string;
}

const OF_LOG: Readonly<Record<TroubleKind, Wording>> = {
  network: {
    code: 'replica-network',
    what: 'it does not reach the primary',
    cause:
      'The address in primary_conninfo is wrong, the primary does not listen there (listen_addresses, port), or a firewall is between.',
    next: (node) => `spoke-backup setup replica ${node} --dry-run`,
  },
  hba: {
    code: 'replica-hba',
    what: 'pg_hba.conf of the primary does not let it in',
    cause: 'There is no line for the database `replication` with its address and role, or one that rejects stands before.',
    next: () => 'spoke-backup setup primary --dry-run',
  },
  password: {
    code: 'replica-password',
    what: 'the primary does not take its password',
    cause: 'The password of the replication role was changed, or the passfile has another one, or none for this host and port.',
    next: (node) => `spoke-backup setup replica ${node} --dry-run`,
  },
  role: {
    code: 'replica-role',
    what: 'its role may not replicate',
    cause: 'The role does not exist on the primary, or has not the attributes LOGIN and REPLICATION.',
    next: () => 'spoke-backup setup primary --dry-run',
  },
  slot: {
    code: 'replica-slot-missing',
    what: 'it cannot use its replication slot',
    cause: 'The slot does not exist on the server that it connects to, is lost, or somebody else reads it.',
    next: () => 'spoke-backup status',
  },
  'wal-removed': {
    code: 'replica-wal-removed',
    what: 'the primary no longer has the WAL that it needs',
    cause: 'It was away for longer than wal_keep_size lasts and has no slot, and restore_command does not bring the WAL either.',
    next: (node) => `spoke-backup reseed ${node} --dry-run`,
  },
  diverged: {
    code: 'replica-diverged',
    what: 'its history is not that of the primary',
    cause: 'It has WAL that the primary has not: it was a primary itself, or was further than the one that was promoted.',
    next: (node) => `spoke-backup rejoin ${node} --dry-run`,
  },
  'other-cluster': {
    code: 'replica-wrong-primary',
    what: 'the server that it follows is of another cluster',
    cause: 'primary_conninfo names a server with another system identifier.',
    next: (node) => `spoke-backup setup replica ${node} --dry-run`,
  },
  'no-sender': {
    code: 'replica-no-sender',
    what: 'the primary takes no more connections',
    cause: 'All of max_wal_senders or max_connections are taken.',
    next: () => 'spoke-backup setup primary --dry-run',
  },
};

function ofLog(standby: StandbyNode, trouble: ReplicationTrouble | undefined): HealthFinding | undefined {
  if (trouble === undefined) return undefined;
  const { code, what, cause, next } = OF_LOG[trouble.kind];
  const { node } = standby;
  return finding(standby, code, {
    message: `${node} does not stream: ${what}`,
    evidence: [trouble.line],
    cause,
    nextCommand: next(node),
  });
}

function unknown(standby: StandbyNode, { primary }: Topology, log: string | undefined): HealthFinding {
  const to = standby.server.replication?.primaryConnection;
  const status = standby.server.replication?.receiver?.status;
  return finding(standby, 'replica-not-connected', {
    message: `${standby.node} does not stream from ${primary?.node ?? 'any primary'}`,
    evidence: [
      status === undefined ? 'pg_stat_wal_receiver is empty' : `pg_stat_wal_receiver.status: ${status}`,
      ...(to === undefined ? [] : [`primary_conninfo: host=${to.host ?? ''} port=${to.port ?? 5432} user=${to.user ?? ''}`]),
    ],
    cause:
      log === undefined
        ? 'Its log, which would tell, cannot be read from here.'
        : 'Its log does not tell; it may be replaying from the archive, or primary_conninfo is not set.',
    nextCommand: `spoke-backup setup replica ${standby.node} --dry-run`,
  });
}

function finding(
  { node }: StandbyNode,
  code: ClusterHealthCode,
  rest: Pick<HealthFinding, 'message' | 'evidence' | 'cause' | 'nextCommand'>,
): HealthFinding {
  return { code, severity: 'critical', node, ...rest };
}
