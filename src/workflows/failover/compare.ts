import { formatBytes } from '../../domain/bytes.ts';
import { type Lsn, parseLsn } from '../../domain/postgres/lsn.ts';
import type { SystemIdentifier } from '../../domain/postgres/system-identifier.ts';
import { timelineIdOf } from '../../domain/postgres/timeline.ts';
import { chooseFailover } from '../../domain/topology/failover-candidate.ts';
import { distance, receivedLsn } from '../../domain/topology/lag.ts';
import { lostWal } from '../../domain/topology/lost-wal.ts';
import { nodeOf, type StandbyNode, type Topology } from '../../domain/topology/topology.ts';
import { SpokeError } from '../../errors.ts';
import type { ChangePrimaryStep, LostRange } from '../../plan/change-primary-steps.ts';
import type { WalEnd } from '../../ports/instance.ts';
import { oldPrimaryWal } from './known-wal.ts';
import { lostRange } from './lost.ts';
import { nodeOfFence } from './plan.ts';

/** What was confirmed, and who was to be promoted with it. */
export type Compared = Extract<ChangePrimaryStep, { kind: 'compare-candidates' }>;

/** What comes of a look after the fences: nobody writes any more, so this is what is lost. */
export type Comparison = { readonly kind: 'the same'; readonly lost: LostRange } | { readonly kind: 'another'; readonly error: SpokeError };

/**
 * Whether the one that was chosen is still to be promoted. Pure. Throws PLAN_STALE where the nodes are not as they were confirmed and nobody
 * may choose anew, POSTGRES_UNAVAILABLE where it does not answer.
 */
export function compareCandidates(asked: Compared, topology: Topology, walEnds: ReadonlyMap<string, WalEnd>): Comparison {
  const chosen = requireStandby(asked, topology);
  requireNobodyAhead(asked, topology);
  const at = positionOf(chosen);
  if (at === undefined) throw stale(`${chosen.node} does not tell how much WAL it has`);
  const [best] = chooseFailover(topology, { maxLagBytes: 0n }).candidates;
  const most = best?.receivedLsn ?? at;
  if (most > at && best !== undefined && asked.choice === 'best')
    return { kind: 'another', error: better(best.node, chosen.node, distance(at, most)) };
  const lost = lossOf(asked, topology, walEnds, at);
  if (most > at && asked.choice === 'named') requireWithin(asked, lost, most);
  return { kind: 'the same', lost };
}

/** How far each standby is. */
export function positionsOf({ standbys }: Topology): ReadonlyMap<string, Lsn> {
  return new Map(standbys.flatMap((one) => (positionOf(one) === undefined ? [] : [[one.node, positionOf(one) as Lsn] as const])));
}

function positionOf({ server }: StandbyNode): Lsn | undefined {
  return server.replication && receivedLsn(server.replication);
}

function requireStandby({ node, timeline }: Compared, topology: Topology): StandbyNode {
  const found = nodeOf(topology, node);
  if (found?.role === 'unreachable') throw new SpokeError('POSTGRES_UNAVAILABLE', `${node} does not answer: ${found.reason}`);
  if (found?.role !== 'standby') throw stale(`${node} is no standby of this cluster any more (${found?.role ?? 'not configured'})`);
  if (found.server.timeline === timeline) return found;
  throw stale(`${node} follows timeline ${found.server.timeline} now, and did ${timeline}`);
}

function requireNobodyAhead({ timeline }: Compared, { standbys }: Topology): void {
  const ahead = standbys.find(({ server }) => server.timeline > timeline);
  if (ahead === undefined) return;
  throw stale(`${ahead.node} follows timeline ${ahead.server.timeline}: somebody was promoted meanwhile`);
}

/** What was known before is still known. */
function lossOf(
  { systemIdentifier, timeline, fences, planned }: Compared,
  topology: Topology,
  walEnds: ReadonlyMap<string, WalEnd>,
  at: Lsn,
): LostRange {
  const fenced = topology.nodes.filter(({ node }) => fences.some((fence) => nodeOfFence(fence) === node));
  const candidate = { timeline: timelineIdOf(timeline), lsn: at };
  const { lastKnown, ...exactly } = oldPrimaryWal(fenced, topology, walEnds, candidate);
  const known = [...lastKnown, parseLsn(planned.toLsn)];
  const cluster = BigInt(systemIdentifier) as SystemIdentifier;
  return lostRange(
    lostWal({ systemIdentifier: cluster, timeline: candidate.timeline, candidateLsn: at, lastKnown: known, ...exactly, snapshots: [] }),
  );
}

/** Somebody else would save what was not given up by whoever confirmed it. */
function requireWithin({ node, planned }: Compared, lost: LostRange, most: Lsn): void {
  const until = planned.isExact ? parseLsn(lost.toLsn) : most;
  const isWithin = parseLsn(lost.fromLsn) >= parseLsn(planned.fromLsn) && until <= parseLsn(planned.toLsn);
  if (isWithin) return;
  throw stale(
    `with ${node} the WAL from ${lost.fromLsn} to ${lost.toLsn} would be lost, more than the plan said (${planned.fromLsn} to ${planned.toLsn})`,
  );
}

function better(better: string, chosen: string, bytes: bigint): SpokeError {
  return new SpokeError('PLAN_STALE', `${better} has received ${formatBytes(bytes)} more than ${chosen} by now`, {
    details: { candidate: better },
    hint: 'See: spoke-backup failover --dry-run',
  });
}

function stale(why: string): SpokeError {
  return new SpokeError('PLAN_STALE', `${why}: nobody was promoted`, {
    hint: 'The old primary is fenced. See what would be lost now: spoke-backup failover --dry-run',
  });
}
