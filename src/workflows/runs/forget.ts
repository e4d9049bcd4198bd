import { addMicros, type Instant } from '../../domain/time/instant.ts';
import type { RunId, StoredRun } from '../../ports/run-store.ts';
import { endOf, hasBegunSwap, repositoriesOf } from './judge.ts';

const MICROS_PER_DAY = 86_400_000_000n;

/** How much history is kept. */
export interface HistoryBounds {
  /** Runs of each verb and cluster. */
  readonly keepRuns: number;
  readonly keepDays: number;
}

/**
 * The runs that may be forgotten: older than the bounds allow, and ended. Never one that is not through, and never the newest
 * one of a verb, cluster and repository, nor the newest of those that succeeded: schedules and status build on them. Pure.
 */
export function runsToForget(runs: readonly StoredRun[], { keepRuns, keepDays }: HistoryBounds, now: Instant): readonly RunId[] {
  const newestFirst = runs.toSorted((left, right) => (left.header.runId < right.header.runId ? 1 : -1));
  const oldest = addMicros(now, -BigInt(keepDays) * MICROS_PER_DAY);
  const counts = new Map<string, number>();
  const seen = new Set<string>();
  return newestFirst.flatMap((run) => {
    const { verb, cluster, startedAt, runId } = run.header;
    const kind = JSON.stringify([cluster, verb]);
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    const isNewest = addNew(seen, landmarksOf(run));
    const isBeyond = count > keepRuns || startedAt < oldest;
    return isBeyond && !isNewest && endOf(run) !== undefined && !hasBegunSwap(run) ? [runId] : [];
  });
}

/** What a run may be the newest of. */
function landmarksOf(run: StoredRun): readonly string[] {
  const { verb, cluster } = run.header;
  const about = ['', ...repositoriesOf(run)];
  const succeeded = endOf(run)?.outcome === 'succeeded';
  return about.flatMap((repository) => [
    JSON.stringify([cluster, verb, repository, 'any']),
    ...(succeeded ? [JSON.stringify([cluster, verb, repository, 'succeeded'])] : []),
  ]);
}

/** Whether any of them was not in the set before. */
function addNew(seen: Set<string>, keys: readonly string[]): boolean {
  const fresh = keys.filter((key) => !seen.has(key));
  for (const key of fresh) seen.add(key);
  return fresh.length > 0;
}
