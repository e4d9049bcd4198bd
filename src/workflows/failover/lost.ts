import type { RepositorySnapshot } from '../../domain/catalog/repository-snapshot.ts';
import { formatLsn, parseLsn } from '../../domain/postgres/lsn.ts';
import type { SystemIdentifier } from '../../domain/postgres/system-identifier.ts';
import { timelineIdOf } from '../../domain/postgres/timeline.ts';
import { heldOfLost, type HeldRange, type LostWal } from '../../domain/topology/lost-wal.ts';
import type { LostRange } from '../../plan/change-primary-steps.ts';

/** Which WAL a failover gives up, as the operator confirms it, and where it still is. Plain JSON. */
export interface LostWalReport extends LostRange {
  /** How far repositories have it without a hole. */
  readonly held: readonly { readonly repository: string; readonly untilLsn: string; readonly bytes: number }[];
}

export function lostWalReport(lost: LostWal): LostWalReport {
  return { ...lostRange(lost), held: heldReport(lost.held) };
}

export function lostRange({ timeline, fromLsn, toLsn, bytes, isExact }: LostWal): LostRange {
  return { timeline, fromLsn: formatLsn(fromLsn), toLsn: formatLsn(toLsn), bytes: Number(bytes), isExact };
}

export function isSameRange(one: LostRange, other: LostRange): boolean {
  return one.fromLsn === other.fromLsn && one.toLsn === other.toLsn && one.isExact === other.isExact;
}

/** A range with what the repositories have of it now. */
export function withHeld(lost: LostRange, cluster: string, snapshots: readonly RepositorySnapshot[]): LostWalReport {
  const [fromLsn, toLsn] = [parseLsn(lost.fromLsn), parseLsn(lost.toLsn)];
  const systemIdentifier = BigInt(cluster) as SystemIdentifier;
  return { ...lost, held: heldReport(heldOfLost({ systemIdentifier, timeline: timelineIdOf(lost.timeline), fromLsn, toLsn }, snapshots)) };
}

function heldReport(held: readonly HeldRange[]): LostWalReport['held'] {
  return held.map(({ repository, untilLsn, bytes }) => ({ repository, untilLsn: formatLsn(untilLsn), bytes: Number(bytes) }));
}
