import { formatLsn } from '../../domain/postgres/lsn.ts';
import type { LostWal } from '../../domain/topology/lost-wal.ts';

/** Which WAL a failover gives up, as the operator confirms it. Plain JSON. */
export interface LostWalReport {
  readonly timeline: number;
  readonly fromLsn: string;
  readonly toLsn: string;
  readonly bytes: number;
  /** False: the old primary may have written more than anybody knows. */
  readonly isExact: boolean;
  /** How far repositories have it without a hole. */
  readonly held: readonly { readonly repository: string; readonly untilLsn: string; readonly bytes: number }[];
}

export function lostWalReport({ timeline, fromLsn, toLsn, bytes, isExact, held }: LostWal): LostWalReport {
  return {
    timeline,
    fromLsn: formatLsn(fromLsn),
    toLsn: formatLsn(toLsn),
    bytes: Number(bytes),
    isExact,
    held: held.map((one) => ({ repository: one.repository, untilLsn: formatLsn(one.untilLsn), bytes: Number(one.bytes) })),
  };
}
