import type { OperationContext } from './operation.ts';
import type { ServerAddress } from './postgres-server.ts';

/** A role and what it may do, as the server has it. */
export interface RoleFacts {
  readonly name: string;
  readonly canLogin: boolean;
  readonly superuser: boolean;
  readonly replication: boolean;
  /** Roles that it is a member of. */
  readonly memberOf: readonly string[];
  /** Of the functions that were asked for, by their signatures: those that it may call. */
  readonly mayExecute: readonly string[];
}

/** What a role shall be and may do. */
export interface RoleRequest {
  readonly name: string;
  readonly replication: boolean;
  readonly memberOf: readonly string[];
  /** Signatures, for example `pg_switch_wal()`. Those that the server does not have are left out. */
  readonly mayExecute: readonly string[];
}

/** A setting as pg_settings has it, in the setting's own unit. */
export interface SettingFacts {
  readonly name: string;
  readonly value: string;
  /** Of the value: `8kB`, `MB`, `s` …; absent where it has none. */
  readonly unit?: string;
  readonly type: string;
  /** What it would be if nobody had said anything. */
  readonly bootValue?: string;
  /** Whether a change needs a restart (context postmaster). */
  readonly needsRestart: boolean;
  readonly pendingRestart: boolean;
}

/** pg_hba.conf as it is on the disk of the server. */
export interface HbaFacts {
  readonly file: string;
  readonly text: string;
  /** What PostgreSQL finds wrong with it (pg_hba_file_rules.error). */
  readonly errors: readonly string[];
}

/** Looks at a server as its superuser. Each throws POSTGRES_UNAVAILABLE, and POSTGRES_FAILED where the role may not see it. */
export interface ServerSetupReader {
  /** SCRAM verifiers by role, of all that can log in where no role is named. Roles with another password, or none, are left out. */
  readVerifiers(address: ServerAddress, roles: readonly string[], context: OperationContext): Promise<ReadonlyMap<string, string>>;
  /** Undefined where there is no such role. */
  observeRole(address: ServerAddress, request: RoleRequest, context: OperationContext): Promise<RoleFacts | undefined>;
  /** Those that the server knows. */
  observeSettings(address: ServerAddress, names: readonly string[], context: OperationContext): Promise<readonly SettingFacts[]>;
  observeHba(address: ServerAddress, context: OperationContext): Promise<HbaFacts>;
}

/** Changes a server as its superuser. */
export interface ServerSetupWriter {
  /**
   * Makes the role, or gives it what it lacks; takes nothing away. `verifier`: what its password is to be checked against; without it the
   * password stays. Idempotent.
   */
  ensureRole(address: ServerAddress, request: RoleRequest, verifier: string | undefined, context: OperationContext): Promise<void>;
}
