const MEBIBYTE = 1024 * 1024;

/** Rates assumed until a cluster's own restores have been measured: slow enough for modest disks and links. Bytes per second. */
const ASSUMED_COPY_RATE = { local: 100 * MEBIBYTE, s3: 30 * MEBIBYTE } as const;
const ASSUMED_REPLAY_RATE = { local: 40 * MEBIBYTE, s3: 25 * MEBIBYTE } as const;
/** What every restore takes beside: connections, starts, checks; more where each file is a request over a network. */
const OVERHEAD_SECONDS = { local: 5, s3: 15 } as const;

/** How long a restore from such a repository will take, in seconds, at the assumed rates. */
export function estimateRestoreSeconds(kind: 'local' | 's3', databaseBytes: bigint, walBytes: bigint): number {
  return Number(databaseBytes) / ASSUMED_COPY_RATE[kind] + Number(walBytes) / ASSUMED_REPLAY_RATE[kind] + OVERHEAD_SECONDS[kind];
}

/** How fast WAL is replayed, and whether that was measured. */
export interface ReplayRate {
  readonly bytesPerSecond: number;
  /** How many of the cluster's restores and drills it was learned from; 0 where it is assumed. */
  readonly samples: number;
}

/** What one restore or drill has replayed. */
export interface ReplaySample {
  readonly walBytes: number;
  readonly seconds: number;
}

/** Less than that says more about starting a server than about replay. */
const LEAST_SAMPLE = { walBytes: 64 * MEBIBYTE, seconds: 1 } as const;
const SAMPLES_KEPT = 10;

/** The rate of the last restores that replayed enough to tell, newest first; all of them together, so that a long one counts for more. */
export function learnReplayRate(kind: 'local' | 's3', samples: readonly ReplaySample[]): ReplayRate {
  const telling = samples
    .filter((sample) => sample.walBytes >= LEAST_SAMPLE.walBytes && sample.seconds >= LEAST_SAMPLE.seconds)
    .slice(0, SAMPLES_KEPT);
  if (telling.length === 0) return { bytesPerSecond: ASSUMED_REPLAY_RATE[kind], samples: 0 };
  const sum = (of: (sample: ReplaySample) => number) => telling.reduce((total, sample) => total + of(sample), 0);
  return { bytesPerSecond: sum(({ walBytes }) => walBytes) / sum(({ seconds }) => seconds), samples: telling.length };
}
