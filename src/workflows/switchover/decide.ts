import type { ClusterConfig } from '../../config/model.ts';
import { formatBytes } from '../../domain/bytes.ts';
import { nodeOf, type PrimaryNode, type StandbyNode, type Topology } from '../../domain/topology/topology.ts';
import { SpokeError } from '../../errors.ts';
import { heldServerOf, notHeld } from '../change-primary/held-server.ts';
import type { SwitchoverIntent } from '../change-primary/intent.ts';
import { lagsOf, type TopologyObservation } from '../observe-topology.ts';

const MEBIBYTE = 1024n * 1024n;
const STATUS = { hint: 'See: spoke-backup status' };

/** Who changes places; throws the reason where they may not. Pure. */
export function decideSwitchover(
  cluster: ClusterConfig,
  { to, run, thenBackup }: Pick<SwitchoverIntent, 'to' | 'run' | 'thenBackup'>,
  { nodes, topology }: TopologyObservation,
): SwitchoverIntent {
  requireOwnCare(cluster, 'switchover');
  const primary = requirePrimary(topology);
  const candidate = requireCandidate(to, primary, topology);
  requireCaughtUp(candidate, topology, BigInt(cluster.failover.maxLagMib) * MEBIBYTE);
  const observed = nodes.find(({ node }) => node.name === primary.node);
  const from = observed === undefined ? undefined : heldServerOf(observed, primary.facts.address?.port);
  if (observed === undefined || from === undefined) throw observed === undefined ? notKnown(primary.node) : notHeld(observed);
  if (observed.directory?.running === undefined)
    throw new SpokeError(
      'REFUSED_PRECONDITION',
      `${primary.node} answers, but no server runs in ${from.dataDirectory}: it is another one`,
      {
        hint: 'Correct dataDirectory or url of that node: spoke-backup config check --online',
      },
    );
  const { systemIdentifier, timeline } = primary.server;
  return { verb: 'switchover', run, thenBackup, cluster: cluster.name, systemIdentifier: String(systemIdentifier), timeline, to, from };
}

/** Throws where Patroni decides who is primary. */
export function requireOwnCare({ name, patroni }: ClusterConfig, verb: 'switchover' | 'failover'): void {
  if (patroni === undefined) return;
  throw new SpokeError('REFUSED_PRECONDITION', `Patroni manages ${name}: who is primary is its business`, {
    hint: `Ask it: patronictl ${verb} ${patroni.scope}`,
  });
}

function notKnown(node: string): SpokeError {
  return new SpokeError('INTERNAL', `${node} was not looked at`);
}

function requirePrimary({ primary, primaries }: Topology): PrimaryNode {
  if (primary !== undefined) return primary;
  const several = primaries.map(({ node }) => node).join(' and ');
  if (several !== '') throw new SpokeError('REFUSED_PRECONDITION', `${several} are both primaries: stop one of them first`, STATUS);
  throw new SpokeError('REFUSED_PRECONDITION', 'no primary answers, so nobody can hand over', {
    hint: 'Where it does not come back: spoke-backup failover --dry-run',
  });
}

function requireCandidate(to: string, primary: PrimaryNode, topology: Topology): StandbyNode {
  const found = nodeOf(topology, to);
  if (found === undefined)
    throw new SpokeError('USAGE', `the configuration has no node "${to}"`, {
      hint: `Known are: ${topology.nodes.map(({ node }) => node).join(', ')}`,
    });
  if (found.role === 'stranger')
    throw new SpokeError('REFUSED_WRONG_CLUSTER', `${to} is of another cluster (system identifier ${found.systemIdentifier})`);
  if (found.role === 'primary') throw refused(`${to} is the primary already`);
  if (found.role !== 'standby') throw refused(`${to} is no standby that answers (${found.role})`);
  if (found.server.timeline !== primary.server.timeline)
    throw refused(`${to} is on timeline ${found.server.timeline}, ${primary.node} on ${primary.server.timeline}`);
  const { upstream } = found;
  if (upstream.kind === 'none') throw refused(`${to} receives no WAL`, `See why: spoke-backup doctor`);
  if (upstream.kind === 'elsewhere' || (upstream.kind === 'node' && upstream.node !== primary.node))
    throw refused(`${to} streams from ${upstream.kind === 'node' ? upstream.node : upstream.host}, not from ${primary.node}`);
  return found;
}

function requireCaughtUp({ node, server }: StandbyNode, topology: Topology, maxLagBytes: bigint): void {
  if (server.replication?.replayPaused === true) throw refused(`replay is paused on ${node}`, `There: SELECT pg_wal_replay_resume()`);
  const delayMs = Number(server.settings['recovery_min_apply_delay'] ?? 0);
  if (delayMs > 0) throw refused(`${node} replays ${delayMs} ms late on purpose (recovery_min_apply_delay)`);
  const lag = lagsOf(topology).get(node);
  if (lag === undefined) throw refused(`${node} does not tell how far it is behind`);
  if (lag.bytes <= maxLagBytes) return;
  throw refused(
    `${node} is ${formatBytes(lag.bytes)} behind, more than failover.maxLagMib`,
    'Wait until it has caught up: spoke-backup status --watch',
  );
}

function refused(why: string, hint = STATUS.hint): SpokeError {
  return new SpokeError('REFUSED_PRECONDITION', why, { hint });
}
