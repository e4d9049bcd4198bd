import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { Instant } from '../../domain/time/instant.ts';
import type { StoredRun } from '../../ports/run-store.ts';
import type { BackupIntent } from '../backup/plan.ts';

/** When the newest backup run for a repository failed to take one; undefined where it took one, or there was none. Newest run first. */
export function lastBackupFailure(runs: readonly StoredRun[], repository: RepositoryName): Instant | undefined {
  const newest = runs.find(({ header, entries }) => isBackupInto(header, repository) && hasAttempted(entries, repository));
  const last = newest?.entries.findLast((entry) => isEndOfBackup(entry, repository));
  return last === undefined || last.kind === 'step-finished' ? undefined : last.at;
}

function isBackupInto(header: StoredRun['header'], repository: RepositoryName): boolean {
  return header.verb === 'backup' && (header.intent as BackupIntent).repositories.includes(repository);
}

/** One that was cancelled says nothing of whether backups succeed, and one that still runs nothing yet. */
function hasAttempted(entries: StoredRun['entries'], repository: RepositoryName): boolean {
  const finished = entries.findLast((entry) => entry.kind === 'run-finished');
  if (finished === undefined || finished.outcome === 'cancelled') return false;
  return entries.some((entry) => isEndOfBackup(entry, repository));
}

function isEndOfBackup(entry: StoredRun['entries'][number], repository: RepositoryName): boolean {
  if (entry.kind === 'step-finished' || entry.kind === 'step-failed') return entry.step === `take-backup:${repository}`;
  return false;
}

/** Whether the last expiry of a backup in a repository was not seen to end, and WAL, which tidies up, has not expired since. Newest run first. */
export function hasLeftovers(runs: readonly StoredRun[], repository: RepositoryName): boolean {
  for (const { entries } of runs.filter(({ header }) => header.verb === 'expire')) {
    const finished = new Set<string>();
    for (const entry of entries.toReversed()) {
      if (entry.kind === 'step-finished') finished.add(entry.step);
      if (finished.has(`expire-wal:${repository}`)) return false;
      const isBegun = entry.kind === 'step-started' && entry.step.startsWith(`expire-backup:${repository}:`);
      if (isBegun && !finished.has(entry.step)) return true;
    }
  }
  return false;
}
