import type { CommandPreview } from './backup-engine.ts';
import type { InstanceReader } from './instance.ts';
import type { OperationContext } from './operation.ts';

/**
 * Something of the cluster that has a host: a node by its name, a PgBouncer as `pgbouncer:<name>`. What is not configured with `ssh` is on
 * this host.
 */
export type Place = string;

/** A step of a plan (plan/step), as it is sent to the host of the place that it names: plain data. */
export interface HostStep {
  readonly id: string;
  readonly kind: string;
  readonly on?: Place;
}

/** What the backup engine is configured to on a host, where archive_command finds it. */
export interface HostEngine {
  /** As BackupEnginePreview has them; those of backups where the major version was given. */
  readonly archivingSettings: Readonly<Record<string, string>>;
  readonly backupSettings: Readonly<Record<string, string>>;
  readonly isConfigurationCurrent: boolean;
}

/** Another host, as spoke-backup there sees it. Nothing in here changes anything. */
export interface HostView {
  /** For people: `user@host`. */
  readonly name: string;
  /** Of spoke-backup there. */
  readonly version: string;
  /** What it calls itself. */
  readonly hostname: string;
  readonly instance: InstanceReader;
  observeEngine(postgresMajor: number | undefined, context: OperationContext): Promise<HostEngine>;
  /** The commands that a step would run there. */
  preview(step: HostStep, context: OperationContext): Promise<readonly CommandPreview[]>;
}

/**
 * Looking at other hosts. Every method but `isElsewhere` throws HOST_UNREACHABLE (also where the connection is lost), HOST_KEY_UNKNOWN,
 * HOST_DENIED, TOOL_MISSING (no spoke-backup there), TOOL_UNSUPPORTED (another version), CONFIG_INVALID (it does not know the cluster or
 * the node), and what was thrown there, with the host's name before it.
 */
export interface HostReader {
  /** Whether the place is on another host than this one. */
  isElsewhere(place: Place): boolean;
  /** Connects where that is not done yet. Throws USAGE for a place that is on this host. */
  look(place: Place, context: OperationContext): Promise<HostView>;
}

/** Having steps done on other hosts. */
export interface HostControl {
  /**
   * Has the step done by the host that it names (`on`), by its own configuration. Progress comes back. Cancelled with the signal; what it
   * started is ended there, also where the connection is lost. Two who work on one place at the same time wait for each other there: LOCKED.
   */
  runStep(step: HostStep, context: OperationContext): Promise<Readonly<Record<string, unknown>>>;
}
