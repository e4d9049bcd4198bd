import { formatBytes } from '../bytes.ts';
import { formatDuration } from '../time/duration.ts';
import { formatInstantUtc, secondsBetween } from '../time/instant.ts';
import type { ReplicationSlot } from '../topology/replication-facts.ts';
import { slotOf } from '../topology/slot-name.ts';
import type { PrimaryNode, Topology } from '../topology/topology.ts';
import type { ClusterFacts } from './cluster-facts.ts';
import type { HealthFinding } from './finding.ts';

const DAY_SECONDS = 86_400;
const CRITICAL_SECONDS = 2 * 3600;

/** Slots of the primary that are lost, are nobody's, or hold so much that they will be lost or the disk full; and standbys without one. */
export function replicationSlotFindings(facts: ClusterFacts): readonly HealthFinding[] {
  const { primary } = facts.topology;
  if (primary === undefined) return [];
  const slots = (primary.server.replication?.slots ?? []).filter(({ name, temporary }) => !temporary && !facts.ownSlots.includes(name));
  return [...slots.flatMap((slot) => ofSlot(slot, primary, facts)), ...withoutSlot(primary, facts.topology)];
}

function ofSlot(slot: ReplicationSlot, primary: PrimaryNode, facts: ClusterFacts): readonly HealthFinding[] {
  const owner = ownerOf(slot, facts.topology);
  if (slot.walStatus === 'lost') return [lost(slot, owner, primary)];
  const filling = fillingOf(slot, owner, primary, facts);
  if (filling !== undefined) return [filling];
  return owner === undefined && !slot.active && slot.kind === 'physical' ? [orphaned(slot, primary)] : [];
}

function ownerOf({ name }: ReplicationSlot, { nodes }: Topology): string | undefined {
  return nodes.find(({ node, facts }) => facts.server?.settings['primary_slot_name'] === name || slotOf(node) === name)?.node;
}

function lost(slot: ReplicationSlot, owner: string | undefined, { node }: PrimaryNode): HealthFinding {
  const reason = slot.invalidationReason === undefined ? [] : [`invalidation_reason: ${slot.invalidationReason}`];
  return {
    code: 'slot-lost',
    severity: 'critical',
    ...(owner === undefined ? {} : { node: owner }),
    message: `replication slot ${slot.name} on ${node} is lost${owner === undefined ? '' : `: ${owner} cannot go on by it`}`,
    evidence: ['pg_replication_slots.wal_status: lost', ...reason],
    cause: 'Its standby was away for longer than max_slot_wal_keep_size lasts, and the WAL that it needs was removed.',
    nextCommand: owner === undefined ? dropOf(slot) : `spoke-backup reseed ${owner} --dry-run`,
  };
}

function fillingOf(
  slot: ReplicationSlot,
  owner: string | undefined,
  { node }: PrimaryNode,
  facts: ClusterFacts,
): HealthFinding | undefined {
  const forecast = facts.forecasts.find((one) => one.node === node && one.slot === slot.name)?.forecast;
  if (forecast === undefined || slot.active) return undefined;
  const seconds = Math.max(0, secondsBetween(facts.now, forecast.at));
  if (seconds > DAY_SECONDS) return undefined;
  const what = forecast.kind === 'lost' ? 'the slot is lost' : `the disk of ${node} is full and PostgreSQL stops`;
  return {
    code: 'slot-filling',
    severity: forecast.kind === 'disk full' && seconds <= CRITICAL_SECONDS ? 'critical' : 'warning',
    ...(owner === undefined ? {} : { node: owner }),
    message: `replication slot ${slot.name} on ${node} is read by nobody and holds ${formatBytes(slot.retainedBytes ?? 0n)}: in ${formatDuration(seconds)} ${what}`,
    evidence: [`${forecast.kind} at ${formatInstantUtc(forecast.at, { fraction: 'none' })}, if WAL is written as it was`],
    cause: owner === undefined ? 'Nobody of the configuration owns it.' : `${owner} is down or does not connect.`,
    nextCommand: owner === undefined ? dropOf(slot) : 'spoke-backup doctor',
  };
}

function orphaned(slot: ReplicationSlot, { node }: PrimaryNode): HealthFinding {
  return {
    code: 'slot-orphaned',
    severity: 'warning',
    message: `replication slot ${slot.name} on ${node} is nobody's and holds ${formatBytes(slot.retainedBytes ?? 0n)}`,
    evidence: ['pg_replication_slots: not active, and no node of the configuration has that slot'],
    cause: 'A standby was removed without its slot: WAL is kept for it until the disk is full.',
    nextCommand: dropOf(slot),
  };
}

function dropOf({ name }: ReplicationSlot): string {
  return `psql -c "SELECT pg_drop_replication_slot('${name}')"`;
}

/** A standby that streams without a slot needs no more than a long pause to be left behind. */
function withoutSlot(primary: PrimaryNode, { standbys }: Topology): readonly HealthFinding[] {
  const keeps = Number(primary.server.settings['wal_keep_size'] ?? 0);
  return standbys
    .filter(({ server }) => server.settings['primary_slot_name'] === '')
    .map(({ node }) => ({
      code: 'replica-without-slot',
      severity: 'warning',
      node,
      message: `${node} has no replication slot: where it is away for long it has to be seeded again`,
      evidence: [`primary_slot_name is empty, wal_keep_size on ${primary.node} is ${keeps} MiB`],
      cause: 'Without a slot the primary removes WAL that the standby still needs.',
      nextCommand: `spoke-backup setup replica ${node} --dry-run`,
    }));
}
