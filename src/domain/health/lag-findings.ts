import { formatBytes } from '../bytes.ts';
import { formatDuration } from '../time/duration.ts';
import type { ReplicationLag } from '../topology/lag.ts';
import type { StandbyNode } from '../topology/topology.ts';
import type { ClusterFacts } from './cluster-facts.ts';
import type { HealthFinding } from './finding.ts';

/** Standbys that are behind, and by what: the network, replay, or a query that replay has to wait for. */
export function lagFindings({ topology, lags, maxLagBytes }: ClusterFacts): readonly HealthFinding[] {
  return topology.standbys.flatMap((standby) => {
    const lag = lags.get(standby.node);
    if (standby.server.replication?.replayPaused === true) return [paused(standby, lag)];
    if (lag === undefined || lag.bytes <= maxLagBytes || standby.upstream.kind === 'none') return [];
    return [lag.receiveBytes > lag.replayBytes ? network(standby, lag) : replay(standby, lag)];
  });
}

function paused({ node }: StandbyNode, lag: ReplicationLag | undefined): HealthFinding {
  return {
    code: 'replay-paused',
    severity: 'warning',
    node,
    message: `replay is paused on ${node}${lag === undefined ? '' : `: ${describe(lag)}`}`,
    evidence: ['pg_get_wal_replay_pause_state(): paused'],
    cause: 'Somebody called pg_wal_replay_pause(), or a setting is lower than on the primary (max_connections and its kin).',
    nextCommand: `psql -c "SELECT pg_wal_replay_resume()"   (on ${node})`,
  };
}

function network({ node, server }: StandbyNode, lag: ReplicationLag): HealthFinding {
  return {
    code: 'lag-network',
    severity: 'warning',
    node,
    message: `${node} is ${describe(lag)}, most of which it has not received`,
    evidence: [evidenceOf(lag), `pg_stat_wal_receiver.status: ${server.replication?.receiver?.status ?? 'unknown'}`],
    cause:
      'WAL is written faster than the connection carries it, or the standby writes slowly. wal_sender_timeout changes nothing of that.',
    nextCommand: 'spoke-backup status --watch',
  };
}

function replay({ node, server }: StandbyNode, lag: ReplicationLag): HealthFinding {
  const { replayWaitsFor: waits, oldestQuery: query, conflicts } = server.replication ?? {};
  const isConflict = waits?.startsWith('RecoveryConflict') === true;
  const delay = Number(server.settings['recovery_min_apply_delay'] ?? 0);
  const oldest = query === undefined ? [] : [`oldest transaction: pid ${query.pid}, open for ${formatDuration(query.seconds)}`];
  const cancelled = conflicts === undefined ? 0n : conflicts.snapshot + conflicts.lock + conflicts.others;
  const evidence = [evidenceOf(lag), `the startup process waits for: ${waits ?? 'nothing that is known'}`, ...oldest];
  if (isConflict)
    return {
      code: 'lag-conflict',
      severity: 'warning',
      node,
      message: `${node} is ${describe(lag)}: a query there keeps replay waiting`,
      evidence: [...evidence, `queries cancelled by replay so far: ${cancelled}`],
      cause: `Replay needs to remove rows or take a lock that the query still uses, and waits for up to max_standby_streaming_delay.`,
      nextCommand: query === undefined ? 'spoke-backup status --watch' : `psql -c "SELECT pg_cancel_backend(${query.pid})"   (on ${node})`,
    };
  const cause =
    delay > 0
      ? `recovery_min_apply_delay is ${delay} ms there: that is as somebody wanted it.`
      : 'One process replays what many have written; where it waits for DataFileRead or WALRead, the disk of the standby is slow.';
  return {
    code: 'lag-replay',
    severity: 'warning',
    node,
    message: `${node} is ${describe(lag)}, most of which it has received and not replayed`,
    evidence,
    cause,
    nextCommand: 'spoke-backup status --watch',
  };
}

function describe({ bytes, seconds }: ReplicationLag): string {
  return `${formatBytes(bytes)}${seconds === undefined ? '' : ` and ${formatDuration(seconds)}`} behind`;
}

function evidenceOf({ receiveBytes, replayBytes }: ReplicationLag): string {
  return `not received: ${formatBytes(receiveBytes)}, not replayed: ${formatBytes(replayBytes)}`;
}
