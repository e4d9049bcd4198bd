import { slotOf } from '../../domain/topology/slot-name.ts';
import { nodeOf, type ClusterNode, type StandbyNode, type Topology } from '../../domain/topology/topology.ts';
import type { HeldServer } from '../../plan/change-primary-steps.ts';
import type { Step } from '../../plan/step.ts';
import type { ChangePrimaryFacts } from './facts.ts';
import { type ClientsAfter, clientSteps, endpointSteps, returnSteps } from './front.ts';
import { changeStep } from './step.ts';
import { passfileStep } from './steps.ts';

const MINUTE_MS = 60_000;

/** What comes once there is a new primary. */
export interface AfterPromotion extends ClientsAfter {
  /** The old primary, where it becomes a standby without more ado. */
  readonly from?: HeldServer;
  /** It was shut down on its timeline before: pg_control has that already. */
  readonly hasCheckpoint?: boolean;
  /** The old primary, which somebody has started as a standby, is stopped by the plan itself before. */
  readonly stopsOldStandby?: boolean;
}

/**
 * Clients first, since they wait; then the standbys, whose data is safe already; the old primary last. Each step only where it is not
 * done. Pure.
 */
export function stepsAfterPromotion(after: AfterPromotion, facts: ChangePrimaryFacts): readonly Step[] {
  const { to, from } = after;
  const isStopped = (node: string) => after.stopsOldStandby === true && node === from?.node;
  const standbys = facts.topology.standbys.filter(({ node }) => node !== to && !isStopped(node));
  const old =
    from === undefined || standbys.some(({ node }) => node === from.node) ? [] : [startStep(from, to), streamingStep(from.node, to)];
  const slotted = [...new Set([...standbys.map(({ node }) => node), ...(from === undefined ? [] : [from.node])])];
  return [
    ...clientSteps(after, facts),
    ...slotSteps(to, slotted, facts.topology),
    ...endpointSteps(facts, to, 'without'),
    ...standbys.flatMap((one) => followSteps(one, to, facts)),
    ...old,
    ...standbys.filter((one) => !followsNow(one, to)).map(({ node }) => streamingStep(node, to)),
    ...(from === undefined ? [] : orphanedSlotSteps(from.node, facts.topology)),
    ...(after.hasCheckpoint === true ? [] : checkpointSteps(to, facts.topology)),
    ...(from === undefined ? [] : returnSteps(to, facts)),
    ...(from === undefined ? [] : endpointSteps(facts, to, 'with')),
  ];
}

function slotSteps(to: string, nodes: readonly string[], topology: Topology): readonly Step[] {
  const present = slotsOn(nodeOf(topology, to));
  const slots = nodes.map(slotOf).filter((slot) => !present.includes(slot));
  if (slots.length === 0) return [];
  const words = {
    id: 'ensure-slots',
    title: `Make the replication slots ${slots.join(', ')} on ${to}`,
    reason: 'the new primary keeps what its standbys have not had yet',
    probe: 'pg_replication_slots has them',
  };
  return [changeStep(words, { kind: 'ensure-slots', node: to, slots })];
}

/** Promotion leaves that to the checkpointer, which takes its time. Where the files cannot be looked at, one more does no harm. */
function checkpointSteps(to: string, topology: Topology): readonly Step[] {
  const node = nodeOf(topology, to);
  if (node?.role === 'primary' && node.facts.files?.timeline === node.server.timeline) return [];
  const words = {
    id: 'checkpoint of the new timeline',
    title: `Checkpoint on ${to}`,
    reason: 'backups and pg_rewind go by pg_control, which has the new timeline only then',
    probe: 'pg_control has the new timeline',
    timeoutMs: 30 * MINUTE_MS,
    onFailure: 'continue' as const,
  };
  return [changeStep(words, { kind: 'checkpoint', node: to })];
}

function slotsOn(node: ClusterNode | undefined): readonly string[] {
  return node !== undefined && 'server' in node ? (node.server.replication?.slots.map(({ name }) => name) ?? []) : [];
}

function followSteps({ node }: StandbyNode, to: string, { follow, following, passfiles }: ChangePrimaryFacts): readonly Step[] {
  const settings = follow.get(node);
  const passfile = passfiles.get(node);
  const written = passfile === undefined ? [] : [{ ...passfileStep(passfile), onFailure: 'continue' as const }];
  if (settings === undefined || following.has(node)) return written;
  const words = {
    id: `configure-server ${node}`,
    title: `Have ${node} follow ${to}`,
    reason: 'it gets its WAL from the new primary',
    probe: 'primary_conninfo names it',
    onFailure: 'continue' as const,
  };
  return [...written, changeStep(words, { kind: 'configure-server', node, role: 'standby', settings })];
}

function startStep(from: HeldServer, to: string): Step {
  return changeStep(
    {
      id: `start-standby ${from.node}`,
      title: `Start ${from.node} as a standby of ${to}`,
      reason: 'it stopped after the last WAL that the new primary has: it goes on from there',
      probe: 'a server runs there, in recovery',
      timeoutMs: 5 * MINUTE_MS,
      onFailure: 'continue',
      on: from.node,
    },
    { kind: 'start-standby', server: from },
  );
}

function followsNow({ upstream }: StandbyNode, to: string): boolean {
  return upstream.kind === 'node' && upstream.node === to;
}

function streamingStep(node: string, primary: string): Step {
  return changeStep(
    {
      id: `check-streaming ${node}`,
      effect: 'read',
      title: `See that ${node} streams from ${primary}`,
      reason: 'that it follows is seen, not assumed',
      probe: 'its slot is active',
      timeoutMs: 2 * MINUTE_MS,
      onFailure: 'continue',
    },
    { kind: 'check-streaming', node, primary, slot: slotOf(node) },
  );
}

/** Nobody reads from a standby what it held for others as a primary; kept, those slots would fill its disk. */
function orphanedSlotSteps(from: string, topology: Topology): readonly Step[] {
  const others = topology.nodes.map(({ node }) => node).filter((node) => node !== from);
  const old = nodeOf(topology, from);
  const known = old !== undefined && 'server' in old ? slotsOn(old) : undefined;
  const slots = others.map(slotOf).filter((slot) => known === undefined || known.includes(slot));
  if (slots.length === 0) return [];
  const words = {
    id: `drop-slots ${from}`,
    title: `Drop the replication slots ${slots.join(', ')} of ${from}`,
    reason: 'no standby follows it any more: they would hold back WAL for ever',
    probe: 'pg_replication_slots has none of them',
    onFailure: 'continue' as const,
  };
  return [changeStep(words, { kind: 'drop-slots', node: from, slots })];
}
