import type { ClusterConfig } from '../../config/model.ts';
import type { ReseedFacts } from '../../domain/topology/reseed-facts.ts';
import type { ReseedChoice, ReseedWish } from '../../domain/topology/reseed-method.ts';
import type { ClusterNode } from '../../domain/topology/topology.ts';
import type { PinnedBackup } from '../../plan/step.ts';
import type { DirectoryFacts, FileOwner, PostgresInstallation } from '../../ports/instance.ts';
import type { NodeObservation, RepositoryObservations } from '../observe-cluster.ts';
import type { TopologyObservation } from '../observe-topology.ts';
import type { PublicAddress } from '../setup-cluster/addresses.ts';
import type { FrontFacts } from './front.ts';

/** What was asked for. */
export interface ReseedRequest {
  readonly cluster: ClusterConfig;
  readonly node: string;
  readonly wish: ReseedWish;
  readonly keepOld: boolean;
  /** Backups that were found to be of no use meanwhile. */
  readonly without?: readonly PinnedBackup[];
  /** Unique, for the names of what lies beside. */
  readonly suffix: string;
}

/** What the decision needs of the world. */
export interface ReseedWorld extends TopologyObservation {
  readonly repositories: RepositoryObservations;
  readonly target: NodeObservation;
  /** Of the target, as it was seen. */
  readonly role: ClusterNode;
  /** Absent where nothing may be done anyway. */
  readonly seeding?: SeedingWorld;
}

/** What there is to seed from and to seed, where there is one primary and the target is none. */
export interface SeedingWorld {
  readonly facts: ReseedFacts;
  readonly choice: ReseedChoice;
  readonly directory: DirectoryFacts;
  readonly owner?: FileOwner;
  readonly currentUser: FileOwner;
  readonly installation?: PostgresInstallation;
  /** Where others reach each node. */
  readonly addresses: ReadonlyMap<string, PublicAddress>;
  readonly hasReplicationPassword: boolean;
  readonly front: FrontFacts;
  /** Repositories that cannot be used from the host of the target, and why. */
  readonly unusable: readonly string[];
}
