import type { ArchiveFacts } from '../../domain/health/archive-facts.ts';
import { forecastSlot, type SlotForecast } from '../../domain/health/slot-forecast.ts';
import { walRateOf } from '../../domain/health/wal-rate.ts';
import type { ReplicationSlot } from '../../domain/topology/replication-facts.ts';
import { slotOf } from '../../domain/topology/slot-name.ts';
import type { Topology } from '../../domain/topology/topology.ts';

/** A slot, whom it is for, and what becomes of it where nobody reads it any more. */
export interface SlotStatus {
  /** The node that has it. */
  readonly node: string;
  readonly slot: ReplicationSlot;
  /** The node that it is named after, or whose receiver reads it; absent where that is none of the configuration. */
  readonly of?: string;
  /** Absent where it is read, or nothing tells how fast WAL is written or how much room there is. */
  readonly forecast?: SlotForecast;
}

const MEBIBYTE = 1024n * 1024n;

/** Every slot of every server that answers. Only that of the primary has a forecast: only there WAL is written. */
export function slotsOf(topology: Topology, facts: ArchiveFacts): readonly SlotStatus[] {
  return topology.nodes.flatMap(({ node, facts: { server } }) =>
    (server?.replication?.slots ?? []).map((slot): SlotStatus => {
      const of = ownerOf(slot, topology);
      const forecast = node === topology.primary?.node ? forecastOf(slot, server?.settings['max_slot_wal_keep_size'], facts) : undefined;
      return { node, slot, ...(of === undefined ? {} : { of }), ...(forecast === undefined ? {} : { forecast }) };
    }),
  );
}

function ownerOf({ name }: ReplicationSlot, { nodes }: Topology): string | undefined {
  const reader = nodes.find(({ facts }) => facts.server?.replication?.receiver?.slot === name);
  return (reader ?? nodes.find(({ node }) => slotOf(node) === name))?.node;
}

function forecastOf(slot: ReplicationSlot, keepMib: string | undefined, facts: ArchiveFacts): SlotForecast | undefined {
  const bytesPerSecond = walRateOf(facts);
  if (slot.active || slot.walStatus === 'lost' || slot.retainedBytes === undefined || bytesPerSecond === undefined) return undefined;
  const keeps = keepMib === undefined || Number(keepMib) < 0 ? undefined : BigInt(keepMib) * MEBIBYTE;
  return forecastSlot({
    now: facts.now,
    bytesPerSecond,
    retainedBytes: slot.retainedBytes,
    keepsBytes: keeps,
    freeBytes: facts.primary?.walFreeBytes,
  });
}
