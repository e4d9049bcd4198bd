import type { SystemIdentifier } from '../postgres/system-identifier.ts';

/** Whose repository it is: its `cluster.json`. */
export interface ClusterRecord {
  readonly layoutVersion: number;
  readonly cluster: string;
  readonly systemIdentifier: SystemIdentifier;
  readonly postgresMajor: number;
  readonly walSegmentBytes: number;
}
