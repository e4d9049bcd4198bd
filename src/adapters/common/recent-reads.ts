import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../domain/catalog/repository-snapshot.ts';
import type { ReadRepositoryOptions } from '../../ports/backup-engine.ts';
import type { Clock } from '../../ports/clock.ts';

/** What was last read of each repository, for whoever asks again at once: `info` is a process that takes longer than all else around it. */
export interface RecentReads {
  /** What was read no longer ago than `maxAgeMs`; else what `read` resolves with, which is kept. */
  unlessRecent(name: RepositoryName, options: ReadRepositoryOptions, read: () => Promise<RepositorySnapshot>): Promise<RepositorySnapshot>;
  /** Forgets everything once `change` has ended, however it did: also what was read meanwhile, or is being read still. */
  changing<T>(change: () => Promise<T>): Promise<T>;
}

export function createRecentReads(clock: Clock): RecentReads {
  const reads = new Map<RepositoryName, { readonly snapshot: RepositorySnapshot; readonly sinceMs: number }>();
  let changes = 0;
  return {
    async unlessRecent(name, { walArchive, maxAgeMs }, read) {
      if (walArchive) return read();
      const sinceMs = clock.monotonicMs();
      const last = reads.get(name);
      if (maxAgeMs !== undefined && last !== undefined && sinceMs - last.sinceMs <= maxAgeMs) return last.snapshot;
      const before = changes;
      const snapshot = await read();
      if (before === changes) reads.set(name, { snapshot, sinceMs });
      return snapshot;
    },
    async changing(change) {
      reads.clear();
      changes += 1;
      try {
        return await change();
      } finally {
        reads.clear();
        changes += 1;
      }
    },
  };
}
