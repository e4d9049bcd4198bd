import type { ReplaySample } from '../domain/recovery/estimate.ts';
import type { PastRun } from '../domain/schedule/past-run.ts';
import { addMicros, type Instant } from '../domain/time/instant.ts';
import { asSpokeError } from '../errors.ts';
import type { RunId, RunProcesses, RunReader, StoredRun } from '../ports/run-store.ts';
import { pastRunsOf } from '../workflows/schedule/past-runs.ts';
import { replaySamplesOf } from '../workflows/schedule/replay-samples.ts';

/** What decisions need of a run: its journal in full would fill the memory of a daemon with many clusters. */
interface Remembered {
  readonly cluster: string;
  readonly past: readonly PastRun[];
  samples(segmentBytes: number): readonly ReplaySample[];
}

/** A run that failed may still be gone on with; hardly after so long. */
const RESUMABLE_MICROS = 7n * 86_400_000_000n;
const UNREADABLE: Remembered = { cluster: '', past: [], samples: () => [] };

/**
 * The runs of all clusters, as their journals tell. What will not change any more is read once; the names are listed each time,
 * which is how runs of the command line are noticed.
 */
export class RunCache {
  readonly #runs: RunReader;
  readonly #processes: RunProcesses;
  readonly #final = new Map<RunId, Remembered>();

  constructor(runs: RunReader, processes: RunProcesses) {
    this.#runs = runs;
    this.#processes = processes;
  }

  /** Newest first. */
  async ofCluster(cluster: string, now: Instant): Promise<Remembered> {
    const ids = await this.#runs.listIds();
    const there = new Set(ids);
    for (const runId of this.#final.keys()) if (!there.has(runId)) this.#final.delete(runId);
    const remembered: Remembered[] = [];
    for (const runId of ids) remembered.push(this.#final.get(runId) ?? (await this.#read(runId, now)));
    const own = remembered.filter((run) => run.cluster === cluster);
    return { cluster, past: own.flatMap(({ past }) => past), samples: (segmentBytes) => own.flatMap((run) => run.samples(segmentBytes)) };
  }

  async #read(runId: RunId, now: Instant): Promise<Remembered> {
    let run: StoredRun;
    try {
      run = await this.#runs.read(runId);
    } catch (thrown) {
      // Not there any more, or damaged: neither says anything of what is due.
      if (asSpokeError(thrown).code === 'RUN_NOT_FOUND') return UNREADABLE;
      throw thrown;
    }
    const isAlive = !hasEnded(run) && (await this.#processes.find(runId)) !== undefined;
    const remembered = remember(run, isAlive);
    if (isFinal(run, now)) this.#final.set(runId, remembered);
    return remembered;
  }
}

function remember(run: StoredRun, isAlive: boolean): Remembered {
  const { cluster, runId } = run.header;
  // One segment size is as good as another here: what counts is kept per segment.
  const perSegment = replaySamplesOf([run], cluster, 1);
  return {
    cluster,
    past: pastRunsOf([run], cluster, new Set(isAlive ? [runId] : [])),
    samples: (segmentBytes) => perSegment.map(({ walBytes, seconds }) => ({ walBytes: walBytes * segmentBytes, seconds })),
  };
}

function hasEnded({ entries }: StoredRun): boolean {
  return entries.findLast((entry) => entry.kind === 'run-finished' || entry.kind === 'attempt')?.kind === 'run-finished';
}

function isFinal(run: StoredRun, now: Instant): boolean {
  const last = run.entries.at(-1);
  if (last?.kind !== 'run-finished') return false;
  return last.outcome === 'succeeded' || run.header.startedAt < addMicros(now, -RESUMABLE_MICROS);
}
