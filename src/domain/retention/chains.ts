import type { BackupLabel, BaseBackup } from '../catalog/base-backup.ts';
import { neededBy } from './soundness.ts';

/** How the backups of one repository hang together. */
export interface Chains {
  readonly byLabel: ReadonlyMap<BackupLabel, BaseBackup>;
  /** Of each backup its full one; a full one is its own. Absent where a backup on the way is missing. */
  readonly rootOf: ReadonlyMap<BackupLabel, BackupLabel>;
}

/** The backups come after those that they need. */
export function chainsOf(backups: readonly BaseBackup[]): Chains {
  const byLabel = new Map(backups.map((backup) => [backup.label, backup]));
  const rootOf = new Map<BackupLabel, BackupLabel>();
  for (const backup of backups) {
    const before = backup.prior ?? backup.references[0];
    const root = backup.type === 'full' ? backup.label : before === undefined ? undefined : rootOf.get(before);
    if (root !== undefined) rootOf.set(backup.label, root);
  }
  return { byLabel, rootOf };
}

/** A backup and all that has to be there for it to be restored. */
export function closureOf(label: BackupLabel, { byLabel }: Chains): ReadonlySet<BackupLabel> {
  const closure = new Set<BackupLabel>();
  const waiting = [label];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const backup = byLabel.get(next);
    if (backup === undefined || closure.has(next)) continue;
    closure.add(next);
    waiting.push(...neededBy(backup));
  }
  return closure;
}
