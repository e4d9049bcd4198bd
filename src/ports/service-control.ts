import type { OperationContext } from './operation.ts';

/** How a server that is already under somebody's care is stopped and started. */
export type ServiceManager =
  | { readonly manager: 'pg_ctl' }
  | { readonly manager: 'pg_ctlcluster'; readonly version: string; readonly clusterName: string }
  | { readonly manager: 'systemd'; readonly unit: string }
  /** `member`: the server's name there. */
  | { readonly manager: 'patroni'; readonly member: string };

/** A service manager that starts and stops a server by a program of its own (pg_ctl itself needs none of this, and Patroni is asked by its API). */
export type ManagedService = Exclude<ServiceManager, { readonly manager: 'pg_ctl' | 'patroni' }>;

export interface ServiceControl {
  /** Throws TOOL_FAILED with what the service manager said. */
  startService(service: ManagedService, context: OperationContext): Promise<void>;
  stopService(service: ManagedService, context: OperationContext): Promise<void>;
  restartService(service: ManagedService, context: OperationContext): Promise<void>;
}
