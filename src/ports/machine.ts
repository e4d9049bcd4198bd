import type { Machine } from '../domain/setup/server-settings.ts';

/** The machine that we are on. */
export interface MachineReader {
  /** What there is of memory and processors, within the limits of the control group that we are in. */
  facts(): Promise<Machine>;
}
