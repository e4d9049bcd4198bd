import type { BackupDetail, BackupLabel, RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { PatroniSighting } from '../../domain/patroni/view.ts';
import type { RestoreChoice } from '../../domain/recovery/choose-backup.ts';
import type { RecoveryTarget, TargetTimeline } from '../../domain/recovery/target.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { DirectoryFacts, FileOwner, PostgresInstallation } from '../../ports/instance.ts';
import type { ClusterConfig } from '../../config/model.ts';
import type { OutdatedDirectory } from './intent.ts';
import type { NodeObservation, RepositoryObservations } from '../observe-cluster.ts';

/** What the operator asked for. */
export interface RestoreRequest {
  readonly cluster: ClusterConfig;
  readonly target: RecoveryTarget;
  readonly timeline: TargetTimeline;
  readonly repository?: RepositoryName;
  readonly label?: BackupLabel;
  readonly destination:
    | { readonly kind: 'directory'; readonly path: string; readonly port?: number }
    | { readonly kind: 'in-place'; readonly node?: string };
  readonly targetAction: 'promote' | 'pause';
  /** Old location → new location. */
  readonly tablespaceMap: ReadonlyMap<string, string>;
  readonly start: boolean;
  readonly discardOld: boolean;
  /** Makes the names of this run's directories unique. */
  readonly suffix: string;
}

/** What was seen before the restore was decided. */
export interface RestoreWorld {
  readonly now: Instant;
  readonly nodes: readonly NodeObservation[];
  readonly repositories: RepositoryObservations;
  readonly destinationPath: string;
  /** The node whose data directory that is; absent: none, and it is on this host. */
  readonly destinationNode?: string;
  readonly destination: DirectoryFacts;
  readonly choice: RestoreChoice;
  /** Of the first candidate. */
  readonly detail?: BackupDetail;
  /** For the major version of the chosen backup. */
  readonly installation?: PostgresInstallation;
  /** What stands in the original locations of the backup's tablespaces and in the new ones asked for. */
  readonly tablespaceDirectories: ReadonlyMap<string, DirectoryFacts>;
  readonly currentUser: FileOwner;
  /** The configured osUser, or `postgres`, where there is such a user. */
  readonly osUser?: FileOwner;
  readonly freePort: number;
  readonly server: LiveEnd;
  readonly outdated: readonly OutdatedDirectory[];
  /** Of a restore in place, where Patroni manages the cluster. */
  readonly patroni?: PatroniSighting;
}

/** Where WAL beyond the archive can be had from. */
export interface LiveEnd {
  /** A reachable primary: its current segment is closed and archived first. */
  readonly primaryNode?: string;
  /** A data directory of a server that does not run: its pg_wal is copied. */
  readonly salvageDirectory?: string;
  /** The node that it belongs to; on the host of the destination. */
  readonly salvageNode?: string;
  /** A node that is down and may hold such WAL, too, on another host than the destination's: nobody copies it. */
  readonly unsalvagedNode?: string;
}
