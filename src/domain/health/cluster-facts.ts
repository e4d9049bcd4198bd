import type { Pooler } from '../pgbouncer/pooler.ts';
import type { PatroniSighting } from '../patroni/view.ts';
import type { Instant } from '../time/instant.ts';
import type { ReplicationLag } from '../topology/lag.ts';
import type { Topology } from '../topology/topology.ts';
import type { SlotForecast } from './slot-forecast.ts';

/** Everything by which the nodes of a cluster are judged, beside its archive. */
export interface ClusterFacts {
  readonly now: Instant;
  readonly topology: Topology;
  /** By the names of the standbys. */
  readonly lags: ReadonlyMap<string, ReplicationLag>;
  /** The end of a server's log, by node; absent where it cannot be read from here. */
  readonly logs: ReadonlyMap<string, string>;
  readonly clocks: readonly ClockReading[];
  readonly disks: readonly { readonly node: string; readonly path: string; readonly freeBytes: bigint }[];
  readonly forecasts: readonly { readonly node: string; readonly slot: string; readonly forecast: SlotForecast }[];
  readonly versions: readonly ToolVersion[];
  readonly poolers: readonly Pooler[];
  /** Absent where Patroni does not manage the cluster. */
  readonly patroni?: PatroniSighting;
  /** More lag than that is a finding. */
  readonly maxLagBytes: bigint;
  /** Slots that are no standby's. */
  readonly ownSlots: readonly string[];
}

/** A server's clock, read between two looks at ours. */
export interface ClockReading {
  readonly node: string;
  readonly serverTime: Instant;
  readonly before: Instant;
  readonly after: Instant;
}

/** A program and where it is installed. */
export interface ToolVersion {
  readonly tool: string;
  /** A node, or the host that asks. */
  readonly at: string;
  readonly version: string;
}
