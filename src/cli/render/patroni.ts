import { formatBytes } from '../../domain/bytes.ts';
import { formatLsn } from '../../domain/postgres/lsn.ts';
import { leaderOf, type NodeName, nodeOfMember, type PatroniMember, type PatroniSighting } from '../../domain/patroni/view.ts';
import { renderTable } from './table.ts';

/** Patroni's view: a line, its members, and an empty line behind; nothing where it manages nothing. `nodes`: those of the configuration. */
export function patroniLines(sighting: PatroniSighting | undefined, nodes: readonly NodeName[]): readonly string[] {
  if (sighting === undefined) return [];
  const { scope, view } = sighting;
  if (view === undefined) return [`patroni ${scope}: unreachable, ${sighting.fault}`, ''];
  const paused = view.paused ? ', paused' : '';
  if (view.storeFault !== undefined) return [`patroni ${scope}: its configuration store is away${paused}, ${view.storeFault}`, ''];
  const leader = leaderOf(view)?.name;
  const last = view.history.at(-1);
  const since = last?.at === undefined ? '' : `, since ${last.at}`;
  return [
    `patroni ${scope} ${view.version}: ${leader === undefined ? 'no leader' : `leader ${leader}${since}`}${paused}`,
    renderTable(
      ['MEMBER', 'ROLE', 'STATE', 'TIMELINE', 'LAG', 'NOTES'],
      view.members.map((member) => memberRow(member, nodeOfMember(member, view, nodes)?.node)),
    ),
    '',
  ];
}

function memberRow({ name, role, state, timeline, lagBytes, pendingRestart }: PatroniMember, node: string | undefined): string[] {
  const lag = role.endsWith('leader') ? '' : lagBytes === undefined ? '?' : lagBytes === 0n ? 'none' : formatBytes(lagBytes);
  const whatNode = node === undefined ? ['not in the configuration: spoke-backup doctor'] : node === name ? [] : [`node ${node}`];
  const notes = [...whatNode, ...(pendingRestart ? ['restart pending'] : [])];
  return [name, role, state, timeline === undefined ? '?' : String(timeline), lag, notes.join(', ')];
}

export function patroniToJson(sighting: PatroniSighting | undefined, nodes: readonly NodeName[]) {
  if (sighting === undefined) return null;
  const { scope, view } = sighting;
  if (view === undefined) return { scope, unreachable: sighting.fault };
  return {
    scope,
    unreachable: null,
    version: view.version,
    storeFault: view.storeFault ?? null,
    paused: view.paused,
    leader: leaderOf(view)?.name ?? null,
    members: view.members.map((member) => {
      const { name, role, state, timeline, lagBytes, pendingRestart } = member;
      const node = nodeOfMember(member, view, nodes)?.node ?? null;
      return {
        name,
        node,
        role,
        state,
        timeline: timeline ?? null,
        lagBytes: lagBytes === undefined ? null : Number(lagBytes),
        pendingRestart,
      };
    }),
    history: view.history.map(({ timeline, lsn, reason, at, newLeader }) => {
      return { timeline, lsn: formatLsn(lsn), reason, at: at ?? null, newLeader: newLeader ?? null };
    }),
  };
}
