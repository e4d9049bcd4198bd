import type { RepositoryName } from '../catalog/base-backup.ts';
import type { ClusterHealthCode } from './cluster-codes.ts';

/** What a look at a cluster can find. Names stay as they are: notices and scripts recognise a finding by them. */
export type HealthCode =
  | ClusterHealthCode
  | 'archive-failing'
  | 'archive-gap'
  | 'archive-lagging'
  | 'archive-off'
  | 'archive-timeout-too-long'
  | 'archive-unknown'
  | 'archive-command-changed'
  | 'disk-filling'
  | 'foreign-cluster'
  | 'foreign-timeline'
  | 'rpo-missed'
  | 'slot-lost'
  | 'slot-retains-wal'
  | 'slot-unbounded'
  | 'streaming-behind'
  | 'streaming-down';

/** Something that somebody should know of. `critical`: data is lost, or will be while nobody does anything. */
export interface HealthFinding {
  readonly code: HealthCode;
  readonly severity: 'critical' | 'warning';
  /** The repository that it is about; absent where it is about the whole cluster. */
  readonly repository?: RepositoryName;
  /** The node that it is about, where it is one. */
  readonly node?: string;
  /** What is the matter, and where, in one line. */
  readonly message: string;
  /** What was seen, a line each. */
  readonly evidence: readonly string[];
  /** Why, as far as that can be told. */
  readonly cause: string;
  /** What to type next. */
  readonly nextCommand: string;
}
