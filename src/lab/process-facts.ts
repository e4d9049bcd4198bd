/** One living process, as far as we may look at it. */
export interface ProcessFacts {
  readonly pid: number;
  readonly parentPid: number;
  /** Tells it from a later process with the same pid. */
  readonly startIdentity: string;
  /** Path of the program; undefined where we may not see it. */
  readonly executable?: string;
  readonly workingDirectory?: string;
  readonly argv: readonly string[];
  readonly environment: readonly string[];
}
