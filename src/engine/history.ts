import type { RepositorySnapshot } from '../domain/catalog/repository-snapshot.ts';
import { addMicros } from '../domain/time/instant.ts';
import type { Clock } from '../ports/clock.ts';
import type { RunId, RunReader, RunWriter } from '../ports/run-store.ts';
import { type HistoryBounds, runsToForget } from '../workflows/runs/forget.ts';
import { isHalfRebuilt, runsToRebuild } from '../workflows/runs/rebuild.ts';

const MICROS_PER_DAY = 86_400_000_000n;

export interface HistoryPorts {
  readonly runs: RunReader;
  readonly runWriter: RunWriter;
}

/** Forgets what the bounds no longer keep; resolves with the runs that are gone. Reads nothing while there are few and young runs. */
export async function keepWithinBounds(
  { runs, runWriter, clock }: HistoryPorts & { readonly clock: Clock },
  bounds: HistoryBounds,
): Promise<readonly RunId[]> {
  const ids = await runs.listIds();
  const young = await runs.listIds({ startedSince: addMicros(clock.now(), -BigInt(bounds.keepDays) * MICROS_PER_DAY) });
  if (ids.length === young.length && mostOfOneVerb(ids) <= bounds.keepRuns) return [];
  const forgotten = runsToForget(await runs.list(), bounds, clock.now());
  await runWriter.remove(forgotten);
  return forgotten;
}

/** As the ids have it: those of several clusters are counted together, which costs a look too many and no more. */
function mostOfOneVerb(ids: readonly RunId[]): number {
  const counts = new Map<string, number>();
  for (const runId of ids) {
    const verb = runId.split('-').slice(1, -1).join('-');
    counts.set(verb, (counts.get(verb) ?? 0) + 1);
  }
  return Math.max(0, ...counts.values());
}

/** What rebuilding did. */
export interface RebuiltHistory {
  /** Runs that could not be read, and where their files are now. */
  readonly setAside: readonly { readonly runId: RunId; readonly reason: string; readonly path: string }[];
  /** Runs that are known again, oldest first. */
  readonly rebuilt: readonly RunId[];
}

/** Sets aside what cannot be read, and writes down again what the catalogues know of the cluster's backups. Running it twice is as good as once. */
export async function rebuildHistory(
  { runs, runWriter }: HistoryPorts,
  cluster: string,
  snapshots: readonly RepositorySnapshot[],
): Promise<RebuiltHistory> {
  const setAside: RebuiltHistory['setAside'][number][] = [];
  for (const { runId, reason } of await runs.listDamaged()) setAside.push({ runId, reason, path: await runWriter.setAside(runId) });
  const known = await runs.list({ verbs: ['backup'] });
  const half = new Map(known.filter(isHalfRebuilt).map((run) => [run.header.runId, run]));
  const missing = runsToRebuild(cluster, snapshots, known);
  for (const { header, entries } of missing) {
    if (!half.has(header.runId)) await runWriter.create(header);
    for (const entry of entries) await runWriter.append(header.runId, entry);
  }
  return { setAside, rebuilt: missing.map((run) => run.header.runId) };
}
