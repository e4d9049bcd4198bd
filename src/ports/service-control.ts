import type { ServiceManager } from '../plan/step.ts';
import type { OperationContext } from './operation.ts';

/** A service manager that starts and stops a server in its own way (pg_ctl itself needs none of this). */
export type ManagedService = Exclude<ServiceManager, { readonly manager: 'pg_ctl' }>;

export interface ServiceControl {
  /** Throws TOOL_FAILED with what the service manager said. */
  startService(service: ManagedService, context: OperationContext): Promise<void>;
  stopService(service: ManagedService, context: OperationContext): Promise<void>;
  restartService(service: ManagedService, context: OperationContext): Promise<void>;
}
