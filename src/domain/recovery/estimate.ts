/** Rates assumed until a cluster's own restores have been measured: slow enough for modest disks. */
export const ASSUMED_COPY_BYTES_PER_SECOND = 100 * 1024 * 1024;
export const ASSUMED_REPLAY_BYTES_PER_SECOND = 40 * 1024 * 1024;
const START_AND_CHECK_SECONDS = 5;

/** How long a restore will take, in seconds, at the assumed rates. */
export function estimateRestoreSeconds(databaseBytes: bigint, walBytes: bigint): number {
  return Number(databaseBytes) / ASSUMED_COPY_BYTES_PER_SECOND + Number(walBytes) / ASSUMED_REPLAY_BYTES_PER_SECOND + START_AND_CHECK_SECONDS;
}
