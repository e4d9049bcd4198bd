import type { ReplaySample } from '../../domain/recovery/estimate.ts';
import type { StoredRun } from '../../ports/run-store.ts';

/**
 * What the restores and drills of a cluster have replayed, newest first: the WAL segments that a recovery asked for, of
 * `segmentBytes` each, and how long it took until its target was reached.
 */
export function replaySamplesOf(runs: readonly StoredRun[], cluster: string, segmentBytes: number): readonly ReplaySample[] {
  return runs
    .filter(({ header }) => header.cluster === cluster)
    .flatMap(({ entries }) =>
      entries.flatMap((entry) => {
        if (entry.kind !== 'step-finished' || !/^prove-target\b/.test(entry.step)) return [];
        const { walSegments } = (entry.result ?? {}) as { readonly walSegments?: unknown };
        return typeof walSegments === 'number' ? [{ walBytes: walSegments * segmentBytes, seconds: entry.seconds }] : [];
      }),
    );
}
