import type { BackupLabel, BaseBackup } from '../catalog/base-backup.ts';
import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import type { BackupDecision, Hold, WalDecision } from './policy.ts';
import { isFrom, keepAllWal, retainWal } from './retain-wal.ts';

export interface WalSubject {
  readonly snapshot: RepositorySnapshot;
  readonly backups: readonly BackupDecision[];
  readonly base: BaseBackup | undefined;
  readonly holds: readonly Hold[];
  /** From which backups on the engine itself would keep all WAL; empty where that is not to be compared. */
  readonly ownFloors: readonly BackupLabel[];
}

interface DecidedWal {
  readonly decisions: readonly WalDecision[];
  /** Absent where none may go. */
  readonly floor?: BackupLabel;
  readonly differences: readonly string[];
}

/**
 * WAL follows the base, or the oldest full backup where there is none: what is before it goes, but for the segments that make
 * older backups consistent which are kept all the same.
 */
export function decideWal({ snapshot, backups, base, holds, ownFloors }: WalSubject): DecidedWal {
  const archive = snapshot.walArchive;
  const all = backups.map(({ backup }) => backup);
  const floor = base ?? all.find(({ type }) => type === 'full');
  const place = floor === undefined ? -1 : all.indexOf(floor);
  const [hold] = holds;
  if (hold !== undefined) return keepingAll({ rule: 'held', reason: hold.reason });
  const local = floor === undefined ? undefined : all.slice(place).find((one) => one.type === 'full' && isOfGeneration(one, snapshot));
  if (archive === undefined || floor === undefined || local === undefined)
    return keepingAll({ rule: 'needed', reason: 'no full backup of this server is there yet' });
  const older = backups.slice(0, all.indexOf(local)).filter(({ decision }) => decision === 'keep');
  const islands = older.map(({ backup }) => backup).filter((one) => isOfGeneration(one, snapshot));
  const obstacle = obstacleTo(local, all.slice(place), islands);
  if (obstacle !== undefined) return keepingAll({ rule: 'needed', reason: obstacle });
  const decisions = retainWal(archive, { floor: local, islands });
  const takesSome = decisions.some(({ decision }) => decision === 'expire');
  // One that is newer than ours would only take more, as it does when the engine was asked later.
  const isOlder = (label: BackupLabel) => all.findIndex((one) => one.label === label) < all.indexOf(local);
  if (takesSome && ownFloors.length > 0 && ownFloors.every(isOlder)) {
    const reason = `the engine itself would keep all WAL from ${ownFloors.join(', ')} on, and not from ${local.label}: it stays`;
    return { ...keepingAll({ rule: 'difference', reason }), differences: [reason] };
  }
  return { decisions, floor: floor.label, differences: [] };

  function keepingAll(why: Pick<WalDecision, 'rule' | 'reason'>): DecidedWal {
    return { decisions: keepAllWal(archive, why), differences: [] };
  }
}

/** The archive is listed of the newest generation: after an upgrade of PostgreSQL older ones have archives of their own. */
function isOfGeneration({ systemIdentifier, postgresMajor }: BaseBackup, snapshot: RepositorySnapshot): boolean {
  return systemIdentifier === snapshot.systemIdentifier && postgresMajor === snapshot.postgresMajor;
}

/** Why cutting at the floor, by the order of names, would take WAL or a timeline history that a kept backup needs. */
function obstacleTo(floor: BaseBackup, fromFloor: readonly BaseBackup[], islands: readonly BaseBackup[]): string | undefined {
  const before = fromFloor.find(
    (one) => one.systemIdentifier === floor.systemIdentifier && !isFrom(one.timeline, one.startLsn, floor.timeline, floor.startLsn),
  );
  if (before !== undefined) return `${before.label} is newer than ${floor.label}, but its WAL is of an older timeline`;
  const apart = islands.find(({ timeline }) => timeline > 1 && timeline < floor.timeline);
  return apart === undefined ? undefined : `${apart.label}, which is kept, needs the history of timeline ${apart.timeline}`;
}
