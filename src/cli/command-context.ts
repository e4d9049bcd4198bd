import type { Output } from './output.ts';

/** What every command is given. */
export interface CommandContext {
  readonly signal: AbortSignal;
  readonly version: string;
  readonly root: string;
  readonly output: Output;
}

/** Options that every command that works on a cluster takes. */
export interface GlobalOptions {
  readonly config?: string;
  readonly cluster?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly stateDirectory?: string;
  readonly timezone?: string;
}

export interface ChangingOptions extends GlobalOptions {
  readonly dryRun?: boolean;
  readonly confirm?: string;
  /** Queue behind whoever is in the way: for a time, or for as long as it takes. */
  readonly wait?: string | true;
}
