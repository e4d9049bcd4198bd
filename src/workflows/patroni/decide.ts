import type { ClusterConfig } from '../../config/model.ts';
import { formatBytes } from '../../domain/bytes.ts';
import { isLeader, leaderOf, memberOfNode, type PatroniMember, type PatroniView, runs } from '../../domain/patroni/view.ts';
import { chooseFailover, whyNobody } from '../../domain/topology/failover-candidate.ts';
import { type ClusterNode, nodeOf, type Topology } from '../../domain/topology/topology.ts';
import { SpokeError } from '../../errors.ts';
import { namesOf, type PatroniFacts } from './facts.ts';
import { requireView } from './guard.ts';
import type { ReinitializeIntent, SwitchLeaderIntent } from './intent.ts';

const MEBIBYTE = 1024n * 1024n;

interface Member {
  readonly node: ClusterNode;
  readonly member: PatroniMember;
}

/** A switchover by Patroni. Throws the reason where it may not be asked for. Pure. */
export function decideSwitchoverByPatroni(
  cluster: ClusterConfig,
  { to, thenBackup, run }: Pick<SwitchLeaderIntent, 'to' | 'thenBackup' | 'run'>,
  facts: PatroniFacts,
): SwitchLeaderIntent {
  const view = requireView(facts.sighting);
  const leader = requireLeader(view, facts.topology);
  const { node, member } = requireStandby(to, view, facts.topology);
  if (!runs(member)) throw refused(`${member.name} does not run, says Patroni (${member.state})`);
  const mostBytes = BigInt(cluster.failover.maxLagMib) * MEBIBYTE;
  const { lagBytes } = member;
  if (lagBytes === undefined) throw refused(`Patroni does not know how far ${member.name} is behind`);
  if (lagBytes > mostBytes)
    throw refused(`${member.name} is ${formatBytes(lagBytes)} behind, more than failover.maxLagMib`, 'Wait: spoke-backup status --watch');
  requireStreaming(member, leader, facts);
  return {
    ...switchOf(cluster, view, { run, thenBackup }),
    verb: 'switchover',
    from: leader.name,
    fromNode: nodeThatIs(leader, view, facts.topology)?.node ?? null,
    fromStartedAt: facts.states.get(leader.name)?.startedAt ?? null,
    to: member.name,
    node: node.node,
    timeline: timelineOf(leader, nodeThatIs(leader, view, facts.topology)),
  };
}

/** A failover by Patroni, which fences by its lock: to whoever was asked for, else to who has most. Throws the reason where it may not be asked for. Pure. */
export function decideFailoverByPatroni(
  cluster: ClusterConfig,
  { to, thenBackup, run }: { readonly to?: string; readonly thenBackup: boolean; readonly run: string },
  facts: PatroniFacts,
): SwitchLeaderIntent {
  const { topology, sighting } = facts;
  const view = requireView(sighting);
  const leader = leaderOf(view);
  const old = leader === undefined ? undefined : nodeThatIs(leader, view, topology);
  if (old?.role === 'primary')
    throw refused(`${old.node} leads and accepts writes`, `Hand over: spoke-backup switchover --to ${to ?? '<node>'}`);
  const request = {
    maxLagBytes: BigInt(cluster.failover.maxLagMib) * MEBIBYTE,
    ...(to === undefined ? {} : { to }),
    ...(old === undefined ? {} : { lost: old.node }),
  };
  const choice = chooseFailover(topology, request);
  if (choice.chosen === undefined) throw refused(`nobody can take over: ${whyNobody(topology, choice, request)}`);
  const { node, member } = requireStandby(choice.chosen.node, view, topology);
  return {
    ...switchOf(cluster, view, { run, thenBackup }),
    verb: 'failover',
    from: leader?.name ?? null,
    fromNode: old?.node ?? null,
    fromStartedAt: null,
    to: member.name,
    node: node.node,
    timeline: choice.chosen.timeline ?? member.timeline ?? 0,
  };
}

/** Of the server itself where it answers: what Patroni shows may be some seconds old. */
function timelineOf({ name, timeline: shown }: PatroniMember, node: ClusterNode | undefined): number {
  const timeline = node?.role === 'primary' ? node.server.timeline : shown;
  if (timeline !== undefined) return timeline;
  throw new SpokeError('PATRONI_UNAVAILABLE', `Patroni does not say yet which timeline ${name} is on`, { hint: 'Again in some seconds.' });
}

function nodeThatIs({ name }: PatroniMember, view: PatroniView, { nodes }: Topology): ClusterNode | undefined {
  return nodes.find(({ facts }) => memberOfNode(facts, view)?.name === name);
}

function switchOf(
  { name, failover }: ClusterConfig,
  view: PatroniView,
  { run, thenBackup }: Pick<SwitchLeaderIntent, 'run' | 'thenBackup'>,
) {
  return { by: 'patroni', cluster: name, run, thenBackup, limitMs: failover.timeoutSeconds * 1000, warnings: warningsOf(view) } as const;
}

/** Making a member anew by Patroni. Throws the reason where it may not be asked for: never the leader. Pure. */
export function decideReseedByPatroni(cluster: ClusterConfig, node: string, facts: PatroniFacts): ReinitializeIntent {
  const view = requireView(facts.sighting);
  const leader = requireLeader(view, facts.topology);
  const { member } = requireStandby(node, view, facts.topology);
  const unknownState = runs(member) && !facts.states.has(member.name);
  if (unknownState) throw new SpokeError('PATRONI_UNAVAILABLE', `the Patroni of ${member.name} does not answer, and it is the one to ask`);
  return {
    by: 'patroni',
    verb: 'reseed',
    cluster: cluster.name,
    node,
    member: member.name,
    leader: leader.name,
    startedAt: facts.states.get(member.name)?.startedAt ?? null,
    maxLagBytes: String(BigInt(cluster.reseed.maxLagMib) * MEBIBYTE),
    limitMs: cluster.reseed.streamTimeoutSeconds * 1000,
    warnings: warningsOf(view),
  };
}

/** Who leads, says Patroni, and no server says otherwise. */
function requireLeader(view: PatroniView, topology: Topology): PatroniMember {
  const leader = leaderOf(view);
  if (leader === undefined) throw refused('Patroni has no leader', 'Where none comes by itself: spoke-backup failover --dry-run');
  const other = topology.primaries.find(({ facts }) => memberOfNode(facts, view)?.name !== leader.name);
  if (other === undefined) return leader;
  throw refused(`${other.node} accepts writes, and the leader is ${leader.name}, says Patroni`, 'See: spoke-backup doctor');
}

function requireStandby(name: string, view: PatroniView, topology: Topology): Member {
  const node = nodeOf(topology, name);
  if (node === undefined)
    throw new SpokeError('USAGE', `the configuration has no node "${name}"`, {
      hint: `Known are: ${topology.nodes.map((one) => one.node).join(', ')}`,
    });
  if (node.role === 'stranger')
    throw new SpokeError('REFUSED_WRONG_CLUSTER', `${name} is of another cluster (system identifier ${node.systemIdentifier})`);
  const member = memberOfNode(node.facts, view);
  if (member === undefined) throw refused(`${name} is no member of Patroni's cluster, which has ${namesOf(view.members)}`);
  if (isLeader(member)) throw refused(`${name} is the leader, says Patroni`);
  if (node.role === 'primary') throw refused(`${name} accepts writes`);
  return { node, member };
}

/**
 * Patroni hands over to whoever is less than maximum_lag_on_failover behind, also where that does not stream (waits for its slot, say): then nobody
 * waits at the shutdown for what it lacks, and that is lost.
 */
function requireStreaming({ name }: PatroniMember, leader: PatroniMember, { states }: PatroniFacts): void {
  const state = states.get(leader.name);
  if (state === undefined) throw new SpokeError('PATRONI_UNAVAILABLE', `the Patroni of ${leader.name} does not say who streams from it`);
  if (!state.streamedBy.includes(name))
    throw refused(`${name} does not stream from ${leader.name}: Patroni would hand over all the same, and lose what it lacks`);
}

function warningsOf({ paused }: PatroniView): readonly string[] {
  return paused ? ['Patroni is paused, and stays so'] : [];
}

function refused(why: string, hint = 'See: spoke-backup status'): SpokeError {
  return new SpokeError('REFUSED_PRECONDITION', why, { hint });
}
