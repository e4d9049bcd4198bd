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
