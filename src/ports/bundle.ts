import type { BackupCatalogReader, BackupEngine } from './backup-engine.ts';
import type { BucketReaders, BucketWriters } from './buckets.ts';
import type { Clock } from './clock.ts';
import type { HostControl, HostReader } from './hosts.ts';
import type { ClusterSecrets } from './cluster-secrets.ts';
import type { EndpointsReader, EndpointsWriter } from './endpoints.ts';
import type { FenceControl } from './fence.ts';
import type { InstanceControl, InstanceReader } from './instance.ts';
import type { LeaseStore } from './lease.ts';
import type { MachineReader } from './machine.ts';
import type { PatroniControl, PatroniReader } from './patroni.ts';
import type { PasswordVerifiers } from './password-verifiers.ts';
import type { PgBouncerControl, PgBouncerReader } from './pgbouncer.ts';
import type { PinReader, PinWriter } from './pin-store.ts';
import type { ServerSetupReader, ServerSetupWriter } from './server-setup.ts';
import type { PostgresReader, PostgresWriter, ServerAddress } from './postgres-server.ts';
import type { RunProcesses, RunReader, RunWriter } from './run-store.ts';
import type { ServiceControl } from './service-control.ts';
import type { StandbySeeding } from './standby-seeding.ts';
import type { WalTailReader, WalTailStager } from './wal-stream.ts';

/** How the nodes of one cluster are reached. */
export interface ClusterAccess {
  /** Undefined where the configuration gives no URL. Throws SECRET_UNAVAILABLE. */
  addressOf(node: string): Promise<ServerAddress | undefined>;
}

/** All that may be looked at while deciding. Nothing in here can change anything. */
export interface ReadPorts {
  readonly catalog: BackupCatalogReader;
  readonly postgres: PostgresReader;
  /** This host. */
  readonly instance: InstanceReader;
  readonly hosts: HostReader;
  readonly access: ClusterAccess;
  readonly runs: RunReader;
  readonly pins: PinReader;
  readonly buckets: BucketReaders;
  readonly tails: WalTailReader;
  readonly clock: Clock;
  readonly setup: SetupReadPorts;
  /** Absent where Patroni does not manage the cluster. */
  readonly patroni?: PatroniReader;
}

/** What setting up servers, and what stands in front of them, looks at. */
export interface SetupReadPorts {
  readonly servers: ServerSetupReader;
  readonly bouncers: PgBouncerReader;
  readonly endpoints: EndpointsReader;
  readonly machine: MachineReader;
  readonly secrets: ClusterSecrets;
  readonly verifiers: PasswordVerifiers;
}

/** What it changes. */
export interface SetupWritePorts {
  readonly servers: ServerSetupWriter;
  readonly bouncers: PgBouncerControl;
  readonly endpoints: EndpointsWriter;
}

/** All that can change something. Only the engine's handlers get it. */
export interface WritePorts {
  readonly engine: BackupEngine;
  readonly postgresWriter: PostgresWriter;
  readonly instanceControl: InstanceControl;
  readonly hostControl: HostControl;
  readonly services: ServiceControl;
  readonly seeding: StandbySeeding;
  readonly fencing: FenceControl;
  readonly runWriter: RunWriter;
  /** Where runs claim what they work on, in the order in which they are asked. */
  readonly leases: readonly LeaseStore[];
  readonly runProcesses: RunProcesses;
  readonly pinWriter: PinWriter;
  readonly bucketWriters: BucketWriters;
  readonly tailStager: WalTailStager;
  readonly setupWriter: SetupWritePorts;
  readonly patroniControl?: PatroniControl;
}
