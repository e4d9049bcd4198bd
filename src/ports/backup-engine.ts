import type { BackupDetail, BackupLabel, BackupType, RepositoryName } from '../domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../domain/catalog/repository-snapshot.ts';
import type { HeldWal, PushError } from '../domain/health/archive-facts.ts';
import type { RecoveryTarget, TargetTimeline } from '../domain/recovery/target.ts';
import type { OwnExpiry } from '../domain/retention/policy.ts';
import type { OperationContext } from './operation.ts';

/** A command as it would be typed: for showing, never for a shell. Holds no secret. */
export interface CommandPreview {
  readonly argv: readonly string[];
}

export interface EngineVersion {
  readonly name: 'pgbackrest' | 'native';
  readonly version: string;
  /** The newest major version of PostgreSQL that it knows; absent where that is not known. */
  readonly newestPostgres?: number;
  /** True where it does one thing at a time for all repositories of a cluster together. */
  readonly locksWholeStanza?: true;
  /** True where one reading of the database can go into several repositories at once. */
  readonly copiesIntoSeveral?: true;
  /** The oldest major version of PostgreSQL of which it takes incrementals; absent: of any. */
  readonly incrementalsFrom?: number;
  /** True where nothing that it takes may rest on a backup of another timeline. */
  readonly needsFullOnNewTimeline?: true;
}

export interface BackupRequest {
  readonly repository: RepositoryName;
  /**
   * Further repositories of the same engine that get the same backup; only where it copiesIntoSeveral. One that fails does not keep it from
   * `repository`: it is left without, and looked at afterwards.
   */
  readonly alsoInto?: readonly RepositoryName[];
  readonly type: BackupType;
  /** Kept with the backup, so that a run that was interrupted finds out whether it finished. */
  readonly runId: string;
}

export interface RestoreRequest {
  readonly repository: RepositoryName;
  readonly label: BackupLabel;
  /** Empty, or left by an interrupted run of this same request (`resume`). */
  readonly dataDirectory: string;
  readonly target: RecoveryTarget;
  readonly timeline: TargetTimeline;
  readonly targetAction: 'pause' | 'promote';
  /** Spool, lock and log of this restore alone. */
  readonly workDirectory: string;
  readonly tablespaceMap: readonly { readonly oid: number; readonly location: string }[];
  readonly resume: boolean;
  /** It becomes a standby: standby.signal instead of recovery.signal. `target` is `latest` then. */
  readonly standby?: true;
}

/** A segment on its way into a repository. */
export interface ArchivedSegmentRequest {
  readonly repository: RepositoryName;
  readonly segment: string;
  readonly segmentSizeBytes: number;
}

/** A server beside its destination that replays WAL from a repository. */
export interface Replay {
  readonly repository: RepositoryName;
  /** Of this restore alone; what is fetched ahead lies there. */
  readonly workDirectory: string;
}

/** One backup that goes, with all that depends on it. */
export interface ExpireBackupRequest {
  readonly repository: RepositoryName;
  readonly label: BackupLabel;
  /** The backups that go with it; where it has more, nothing goes. */
  readonly dependents: readonly BackupLabel[];
}

export interface ExpireWalRequest {
  readonly repository: RepositoryName;
  /** The full backup from which on all WAL stays; of older ones only what makes the backups consistent that are there. */
  readonly floor: BackupLabel;
}

export interface AnnotateRequest {
  readonly repository: RepositoryName;
  readonly label: BackupLabel;
  readonly key: string;
  /** Empty: the annotation is removed. */
  readonly value: string;
}

export interface VerifyReport {
  readonly ok: boolean;
  /** One line a fault found. */
  readonly faults: readonly string[];
  /** The backups that faults are about: none of them may be relied on. WAL that is damaged is in `faults` alone. */
  readonly damagedBackups: readonly BackupLabel[];
}

/** How much of a repository is read. */
export interface ReadRepositoryOptions {
  readonly walArchive: boolean;
  /**
   * Only the WAL from the newest backup on: what a look every few seconds can afford. No windows can be told from it: its
   * `listedFrom` says where it begins.
   */
  readonly onlySinceNewestBackup?: boolean;
  /** What was read so long ago through the same reader will do, unless its engine has changed something since. Without `walArchive` only. */
  readonly maxAgeMs?: number;
}

/** Reading a backup engine's repositories: no method changes anything anywhere. */
export interface BackupCatalogReader {
  /** Of the engine that keeps the repository. Throws TOOL_MISSING or TOOL_UNSUPPORTED. */
  readVersion(repository: RepositoryName, context: OperationContext): Promise<EngineVersion>;
  /** Throws REPOSITORY_UNAVAILABLE or REPOSITORY_DENIED where the repository does not answer. */
  readRepository(repository: RepositoryName, options: ReadRepositoryOptions, context: OperationContext): Promise<RepositorySnapshot>;
  /**
   * Why the engine could not bring WAL into a repository, as it noted for segments that wait. Empty where it notes nothing, or not
   * on this machine.
   */
  readPushErrors(): Promise<readonly PushError[]>;
  /** What archive_command has acknowledged and shipWal has still to bring on. Empty where an engine acknowledges only what every repository has. */
  readHeldWal(): Promise<readonly HeldWal[]>;
  /** Whether the engine's own configuration on disk is what writeConfiguration would write. */
  isConfigurationCurrent(): Promise<boolean>;
  /**
   * What the engine itself would expire now by the days of the repository, whatever is pinned. Throws LOCKED while another process
   * of the engine works on the cluster.
   */
  readOwnExpiry(repository: RepositoryName, context: OperationContext): Promise<OwnExpiry>;
  readBackupDetail(repository: RepositoryName, label: BackupLabel, context: OperationContext): Promise<BackupDetail>;
  /** Reads what was stored and compares checksums. Damage is a report, not an error. */
  verifyRepository(repository: RepositoryName, context: OperationContext): Promise<VerifyReport>;
}

/** What others run to make a standby of what the repositories hold. */
export interface StandbyRecipe {
  /** restore_command of a standby in everyday use: from any repository that has the file; no failure of it ends the server. */
  readonly restoreCommand: string;
  /** Fills the data directory with the newest backup, as one of a standby; absent where only this program can do that. */
  readonly restoreBackup?: readonly string[];
}

/** Pure: what would be run. */
export interface BackupEnginePreview {
  previewWriteConfiguration(): readonly CommandPreview[];
  previewCreateRepositories(): readonly CommandPreview[];
  previewBackup(request: BackupRequest): readonly CommandPreview[];
  previewRestore(request: RestoreRequest): readonly CommandPreview[];
  previewExpireBackup(request: ExpireBackupRequest): readonly CommandPreview[];
  previewExpireWal(request: ExpireWalRequest): readonly CommandPreview[];
  previewAnnotate(request: AnnotateRequest): readonly CommandPreview[];
  previewCheckArchiving(): readonly CommandPreview[];
  /** Settings of PostgreSQL that take the place of restoreBackup's while the server is beside: they fetch WAL as fast as the engine can. */
  replaySettings(replay: Replay): Readonly<Record<string, string>>;
  /** Settings by which a standby gets from the repository what its primary no longer has; for every day, not for a restore. */
  standbySettings(repository: RepositoryName): Readonly<Record<string, string>>;
  /** How a cluster manager makes a standby, and what that one gets WAL by; `dataDirectory` is that of the standby. Holds no secret. */
  standbyRecipe(dataDirectory: string): StandbyRecipe;
  previewVerify(repository: RepositoryName): readonly CommandPreview[];
  /** The settings that PostgreSQL needs so that its WAL reaches every repository. */
  archivingSettings(): Readonly<Record<string, string>>;
  /** Further ones that backups need of a server of that version, and that take no restart. */
  backupSettings(postgresMajor: number): Readonly<Record<string, string>>;
}

/** The effects of a backup engine. */
export interface BackupEngine extends BackupEnginePreview {
  /** Writes the engine's own configuration where PostgreSQL's archive_command finds it. Idempotent. */
  writeConfiguration(): Promise<void>;
  /** Idempotent (pgBackRest: stanza-create). */
  createRepositories(context: OperationContext): Promise<void>;
  /** Forces a WAL switch and waits until the segment is in every repository (pgBackRest: check). */
  checkArchiving(context: OperationContext): Promise<void>;
  /**
   * Resolves once the repository has a segment that PostgreSQL was told is archived, and all before it; brings on what has still to come.
   * At once where an engine acknowledges only what every repository has. Throws TIMED_OUT or REPOSITORY_*.
   */
  awaitArchived(request: ArchivedSegmentRequest, context: OperationContext): Promise<void>;
  /** Whether archive_command leaves something for shipWal to do. */
  readonly shipsWal: boolean;
  /**
   * Brings WAL from where archive_command left it into the repositories that lack it, until the signal aborts. Never throws: why something does
   * not get through is in readPushErrors. Ends by itself where a repository has failed for so long that secrets may have changed.
   */
  shipWal(signal: AbortSignal): Promise<void>;
  /**
   * Brings a whole segment that lies elsewhere than in pg_wal into every repository, as archive_command would: where one has it already
   * with the same bytes, that is success. Throws REPOSITORY_*, BACKUP_DAMAGED where one has other bytes of that name.
   */
  archiveSegment(path: string, context: OperationContext): Promise<void>;
  /** Resolves once the backup is complete in the repository and visible in its catalogue. */
  takeBackup(request: BackupRequest, context: OperationContext): Promise<BackupLabel>;
  /**
   * Copies the backup into `dataDirectory`, pg_control last, and writes the recovery settings and recovery.signal.
   * Throws BACKUP_DAMAGED, REPOSITORY_*, DISK_FULL.
   */
  restoreBackup(request: RestoreRequest, context: OperationContext): Promise<void>;
  /**
   * Has WAL fetched ahead for a server that starts with replaySettings, or runs already: also one that an earlier process of ours has started.
   * Idempotent. It only ever saves time: what it does not bring the server's restore_command gets by itself.
   */
  beginReplay(replay: Replay, context: OperationContext): Promise<void>;
  /** Ends what may still be fetching ahead once the server that replayed has been stopped. Idempotent. */
  endReplay(replay: Pick<Replay, 'workDirectory'>, context: OperationContext): Promise<void>;
  /**
   * Removes a backup from the catalogue and then its files. Idempotent: one that is gone is gone. Throws PLAN_STALE, and removes
   * nothing, where more depends on it than the request names; REPOSITORY_DENIED where the store does not let anything be deleted.
   */
  expireBackup(request: ExpireBackupRequest, context: OperationContext): Promise<void>;
  /**
   * Removes WAL that is older than the floor, and the files that an interrupted expiry has left. No backup goes. Throws PLAN_STALE
   * where the floor is not there; REPOSITORY_DENIED.
   */
  expireWal(request: ExpireWalRequest, context: OperationContext): Promise<void>;
  /** Notes something with a backup. Throws TARGET_NOT_FOUND where there is no such backup. */
  annotateBackup(request: AnnotateRequest, context: OperationContext): Promise<void>;
}
