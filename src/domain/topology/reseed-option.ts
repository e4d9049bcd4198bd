import type { BackupLabel } from '../catalog/base-backup.ts';
import type { ReseedMethodName, SeedSource } from './reseed-facts.ts';

/** What a method would cost. */
export interface ReseedPrice {
  /** Over the network or out of a repository, WAL included. */
  readonly bytesMoved: bigint;
  /** Of these, what the primary reads and sends. */
  readonly primaryBytes: bigint;
  readonly seconds: number;
}

export type ReseedOption = {
  readonly method: ReseedMethodName;
  readonly source?: SeedSource;
} /** `backup`: the one that is restored, where one is. */ & (
  | { readonly kind: 'possible'; readonly price: ReseedPrice; readonly reason: string; readonly backup?: BackupLabel }
  | { readonly kind: 'refused'; readonly reason: string }
);

export type PossibleReseed = Extract<ReseedOption, { kind: 'possible' }>;
