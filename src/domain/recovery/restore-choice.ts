import type { BackupLabel, BaseBackup, RepositoryName } from '../catalog/base-backup.ts';
import type { Lsn } from '../postgres/lsn.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { Instant } from '../time/instant.ts';
import type { RecoveryTarget, TargetTimeline } from './target.ts';

/** What a backup is wanted for. */
export interface RestoreChoiceRequest {
  readonly target: RecoveryTarget;
  readonly timeline: TargetTimeline;
  readonly repository?: RepositoryName;
  readonly label?: BackupLabel;
  readonly now: Instant;
  /** A primary whose WAL up to here will be archived before the restore: it extends every archive that has no hole before it. */
  readonly liveEnd?: LiveWalEnd;
  /** Backups that were tried in this run and failed. */
  readonly excluded: readonly { readonly repository: RepositoryName; readonly label: BackupLabel }[];
}

interface LiveWalEnd {
  readonly lsn: Lsn;
  readonly timeline: TimelineId;
  /** By the server's clock. */
  readonly time: Instant;
}

/** A backup to restore from, with what it takes to get from it to the target. */
export interface BackupCandidate {
  readonly repository: RepositoryName;
  readonly label: BackupLabel;
  readonly backup: BaseBackup;
  /** The timeline whose history replay follows. */
  readonly timeline: TimelineId;
  /** At most: nobody knows the position of an instant before replay has passed it. */
  readonly segmentCount: number;
  /** At most, as `segmentCount`. */
  readonly walBytes: bigint;
  /** Why it is here and what to know of it, one sentence each. */
  readonly reasons: readonly string[];
}

export type ChoiceRefusalCode =
  | 'TARGET_IN_FUTURE'
  | 'TARGET_BEFORE_WINDOW'
  | 'TARGET_AFTER_WINDOW'
  | 'TARGET_IN_GAP'
  | 'TARGET_TIMELINE'
  | 'NO_BACKUP'
  | 'BACKUP_DAMAGED';

/** A target close to the wanted one that can be reached. */
export interface NearestTarget {
  readonly time?: Instant;
  readonly lsn?: Lsn;
  readonly side: 'before' | 'after';
}

/** Plain JSON values. */
type ChoiceDetails = Readonly<Record<string, unknown>>;

export interface ChoiceRefusal {
  readonly kind: 'refused';
  readonly code: ChoiceRefusalCode;
  readonly message: string;
  readonly nearest: readonly NearestTarget[];
  readonly details: ChoiceDetails;
}

/** The backups to try, best first; or why there is none. */
export type RestoreChoice = { readonly kind: 'chosen'; readonly candidates: readonly BackupCandidate[] } | ChoiceRefusal;
