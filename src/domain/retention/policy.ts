import type { BackupLabel, BaseBackup, RepositoryName } from '../catalog/base-backup.ts';
import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import type { WalRange } from '../catalog/wal-archive.ts';
import type { Instant } from '../time/instant.ts';
import type { Pin } from './pin.ts';

/** What is kept in one repository, and what must hold before anything goes. */
export interface RetentionPolicy {
  /** Every instant of the last so many days stays recoverable. */
  readonly days: number;
  /** Whether a full backup lets older ones go only once a verification or a drill has found it sound. */
  readonly requireVerified: boolean;
  /** The most of the repository's backups that one run expires without a confirmation, in percent. */
  readonly maxSharePercent: number;
}

/** What a verification or a drill found. */
export interface Verdict {
  readonly repository: RepositoryName;
  /** Absent: of every backup that was complete by then. */
  readonly label?: BackupLabel;
  readonly at: Instant;
  readonly sound: boolean;
}

/** What the engine itself would expire by its own rules, which know no pins. */
export interface OwnExpiry {
  readonly backups: readonly BackupLabel[];
  /** The backups from which on it would keep all WAL, one a cluster generation; none where it would expire no WAL. */
  readonly walFloors: readonly BackupLabel[];
}

/** How far another clock is ahead of ours (negative: behind), as both were read together. */
export interface ClockComparison {
  /** For people: `the server primary`. */
  readonly whose: string;
  readonly aheadSeconds: number;
}

/** All that the policy looks at in one repository. */
export interface RetentionFacts {
  /** With its WAL archive, where WAL is to be decided on. */
  readonly snapshot: RepositorySnapshot;
  readonly now: Instant;
  /** Of this repository. */
  readonly pins: readonly Pin[];
  readonly verdicts: readonly Verdict[];
  /** When the newest backup run failed to put a backup in here; absent where it did not. */
  readonly backupFailedAt?: Instant;
  readonly clocks: readonly ClockComparison[];
  readonly own: OwnExpiry | { readonly unavailable: string };
  /** Whether somebody has typed the name of the cluster. */
  readonly confirmed: boolean;
}

/** Why a backup or WAL is kept or goes, in one word for programs. */
export type RetentionRule =
  /** Finished within the window. */
  | 'window'
  /** The full backup that the beginning of the window is recovered from. */
  | 'base'
  /** Belongs to, or is newer than, the base. */
  | 'needed'
  | 'pinned'
  | 'pin-needs'
  /** Would go, but see the holds. */
  | 'held'
  /** Would go, but the engine itself would keep it. */
  | 'difference'
  | 'past-window';

export interface BackupDecision {
  readonly backup: BaseBackup;
  readonly decision: 'keep' | 'expire';
  readonly rule: RetentionRule;
  readonly reason: string;
}

/** One run of archived segments, cut where the decision changes. */
export interface WalDecision extends WalRange {
  readonly decision: 'keep' | 'expire';
  readonly rule: RetentionRule;
  readonly reason: string;
}

export type HoldKind = 'unsound' | 'failing' | 'no-new-backup' | 'clock' | 'share' | 'unchecked';

/** Why nothing goes in a repository although the days have passed. */
export interface Hold {
  readonly kind: HoldKind;
  readonly reason: string;
  /** Whether typing the name of the cluster lifts it. */
  readonly confirmable: boolean;
}

/** What is kept and what goes in one repository. */
export interface RetentionPlan {
  readonly repository: RepositoryName;
  /** In the order of the catalogue. */
  readonly backups: readonly BackupDecision[];
  readonly wal: readonly WalDecision[];
  /** The full backup from which on all WAL is kept; absent where no WAL may go. */
  readonly walFloor?: BackupLabel;
  readonly holds: readonly Hold[];
  /** Where this plan and the engine's own differ for no reason that is known. */
  readonly differences: readonly string[];
}
