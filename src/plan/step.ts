import type { BackupLabel, BackupType, RepositoryName } from '../domain/catalog/base-backup.ts';
import type { RecoveryTarget, TargetTimeline } from '../domain/recovery/target.ts';
import type { Pin } from '../domain/retention/pin.ts';
import type { FileOwner } from '../ports/instance.ts';
import type { MultipartUpload } from '../ports/object-store.ts';
import type { ServiceManager } from '../ports/service-control.ts';
import type { ChangePrimaryStep } from './change-primary-steps.ts';
import type { PatroniStep } from './patroni-steps.ts';
import type { ReseedStep } from './reseed-steps.ts';
import type { PinnedBackup, RestoreArea, TablespaceMapping } from './restore-area.ts';
import type { SetupStep } from './setup-steps.ts';

export type { PinnedBackup, RestoreArea, TablespaceMapping };

/** What a step does to the world. `destructive`: what it replaces cannot be had back by running the plan backwards. */
export type Effect = 'read' | 'write' | 'destructive';

/** Of every step. */
export interface StepBase {
  /** Stable within a plan: the kind, and what it is about where a plan has several of a kind. */
  readonly id: string;
  readonly effect: Effect;
  /** One line, for people: what is done. */
  readonly title: string;
  /** One line, for people: why it is in the plan. */
  readonly reason: string;
  /** How one sees, on the real system, that it was done: what a resumed run looks at. */
  readonly probe: string;
  readonly timeoutMs: number;
  /** `transient`: tried again after errors of that class. `never`: one try, then the run stops. */
  readonly retry: 'transient' | 'never';
  /** `continue`: the rest of the plan does not depend on it. */
  readonly onFailure: 'stop' | 'continue';
  /** The place (ports/hosts) whose files or processes it touches: it is done on the host of that. Absent: wherever the plan is run. */
  readonly on?: string;
}

export interface IsolatedServer {
  readonly area: RestoreArea;
  readonly owner: FileOwner;
  readonly postgresMajor: number;
  /** Roles to try, in this order, on the isolated server's socket. */
  readonly superusers: readonly string[];
}

export type Step = StepBase &
  (
    | ChangePrimaryStep
    | SetupStep
    | ReseedStep
    | PatroniStep
    | { readonly kind: 'create-repositories' }
    | { readonly kind: 'alter-system'; readonly node: string; readonly settings: Readonly<Record<string, string>> }
    | { readonly kind: 'reload-configuration'; readonly node: string }
    | { readonly kind: 'write-configuration' }
    | {
        readonly kind: 'restart-server';
        readonly node: string;
        readonly dataDirectory: string | undefined;
        readonly postgresMajor: number;
        readonly service: ServiceManager;
      }
    | { readonly kind: 'check-archiving'; readonly node: string }
    | {
        readonly kind: 'take-backup';
        readonly repository: RepositoryName;
        /** Further repositories that the same reading of the database goes into; each has a step of its own that looks. */
        readonly alsoInto?: readonly RepositoryName[];
        /** It may have come with that of another repository: then nothing is done. */
        readonly unlessThere?: true;
        readonly type: BackupType;
        readonly runId: string;
      }
    | {
        readonly kind: 'expire-backup';
        readonly cluster: string;
        readonly repository: RepositoryName;
        readonly label: BackupLabel;
        /** What goes with it because it depends on it. */
        readonly dependents: readonly BackupLabel[];
      }
    | { readonly kind: 'expire-wal'; readonly repository: RepositoryName; readonly floor: BackupLabel }
    | { readonly kind: 'abort-uploads'; readonly repository: RepositoryName; readonly uploads: readonly MultipartUpload[] }
    | { readonly kind: 'save-pin'; readonly cluster: string; readonly pin: Pin }
    | { readonly kind: 'remove-pin'; readonly cluster: string; readonly repository: RepositoryName; readonly label: BackupLabel }
    | {
        readonly kind: 'annotate-backup';
        readonly repository: RepositoryName;
        readonly label: BackupLabel;
        readonly key: string;
        /** Empty: the annotation is removed. */
        readonly value: string;
      }
    | { readonly kind: 'verify-repository'; readonly repository: RepositoryName }
    | { readonly kind: 'close-wal-segment'; readonly node: string; readonly repositories: readonly RepositoryName[] }
    | {
        readonly kind: 'reserve-restore-area';
        readonly area: RestoreArea;
        readonly owner: FileOwner;
        readonly runId: string;
        readonly backup: PinnedBackup;
      }
    | {
        readonly kind: 'clear-restore-area';
        readonly area: RestoreArea;
        readonly server: IsolatedServer;
        readonly tablespaceMap: readonly TablespaceMapping[];
      }
    | {
        readonly kind: 'copy-backup';
        readonly area: RestoreArea;
        readonly owner: FileOwner;
        readonly backup: PinnedBackup;
        readonly target: RecoveryTarget;
        readonly timeline: TargetTimeline;
        readonly tablespaceMap: readonly TablespaceMapping[];
        readonly resume: boolean;
      }
    | {
        readonly kind: 'salvage-wal';
        readonly area: RestoreArea;
        readonly owner: FileOwner;
        readonly fromDirectory: string;
        readonly files: readonly string[];
      }
    | {
        readonly kind: 'stage-tail';
        readonly area: RestoreArea;
        readonly owner: FileOwner;
        readonly repository: RepositoryName;
        /** Names of segments and history files. */
        readonly segments: readonly string[];
        readonly histories: readonly { readonly name: string; readonly text: string }[];
        readonly systemIdentifier: string;
      }
    | {
        readonly kind: 'start-isolated';
        readonly server: IsolatedServer;
        readonly archiving: 'keep' | 'off';
        readonly backup: PinnedBackup;
      }
    | {
        readonly kind: 'prove-target';
        readonly server: IsolatedServer;
        readonly target: RecoveryTarget;
        /** Replay has to come this far where the target itself says nothing (latest): PostgreSQL takes a failed fetch for the end. */
        readonly leastLsn: string | undefined;
        readonly backup: PinnedBackup;
      }
    | { readonly kind: 'promote-isolated'; readonly server: IsolatedServer }
    | { readonly kind: 'stop-isolated'; readonly server: IsolatedServer }
    | {
        readonly kind: 'settle-configuration';
        readonly area: RestoreArea;
        readonly owner: FileOwner;
        readonly keepRecoverySettings: boolean;
        readonly archiving: 'keep' | 'off';
      }
    | {
        readonly kind: 'stop-server';
        readonly node: string;
        readonly dataDirectory: string;
        readonly postgresMajor: number;
        readonly owner: FileOwner;
        readonly service: ServiceManager;
        /** device:inode of what was confirmed to be replaced. */
        readonly destinationIdentity: string | undefined;
      }
    | {
        readonly kind: 'swap-data-directory';
        readonly area: RestoreArea;
        readonly dataDirectory: string;
        /** Where what is there now goes; undefined where nothing is there. */
        readonly oldDataDirectory: string | undefined;
        /** device:inode of what was confirmed to be replaced. */
        readonly destinationIdentity: string | undefined;
      }
    | {
        readonly kind: 'start-restored';
        readonly dataDirectory: string;
        readonly postgresMajor: number;
        readonly owner: FileOwner;
        readonly port: number;
        readonly socketDirectory: string;
        readonly service: ServiceManager;
      }
    | {
        readonly kind: 'confirm-restored';
        /** Asked by its own URL where the configuration has one; else by the socket as a superuser. */
        readonly node: string | undefined;
        readonly dataDirectory: string;
        readonly port: number;
        readonly socketDirectory: string;
        readonly superusers: readonly string[];
        readonly systemIdentifier: string;
        readonly writable: boolean;
      }
    | { readonly kind: 'discard-old'; readonly oldDataDirectory: string; readonly identity: string | undefined }
    | { readonly kind: 'release-restore-area'; readonly area: RestoreArea }
    /** Outside of plans, when a restore ends before its time. */
    | { readonly kind: 'end-isolated'; readonly server: Omit<IsolatedServer, 'superusers'> }
    | {
        readonly kind: 'discard-restore-area';
        readonly server: Omit<IsolatedServer, 'superusers'>;
        readonly tablespaceMap: readonly TablespaceMapping[];
      }
  );

export type StepKind = Step['kind'];
export type StepOf<K extends StepKind> = Extract<Step, { kind: K }>;

/** What is to be done, in this order, and what the operator must know before. */
export interface Plan {
  readonly steps: readonly Step[];
  /** Things that are right as they are but that one should have read. */
  readonly warnings: readonly string[];
}
