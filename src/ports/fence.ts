import type { OperationContext } from './operation.ts';

/** Making sure of a server that it accepts no writes, by a program of the operator's: power, network, hypervisor. */
export interface FenceControl {
  /** Runs the program. It may be run again for the same server. Throws TOOL_FAILED where it ends with another exit code than 0. */
  fence(command: readonly string[], context: OperationContext): Promise<void>;
}
