const MEBIBYTE = 1024 * 1024;
/** What PostgreSQL takes where nothing is configured. */
const LEAST_MIB = 128;
const MOST_MIB = 1024;
/** The cluster that is being replaced may still run beside, and the page cache wants its part. */
const PART = 8;

/**
 * shared_buffers for a server that only replays, as PostgreSQL reads it. Replay comes back to the same pages at random: with
 * a small buffer each visit is a write and a read. What is configured does not count: it is meant for a server that has the
 * machine to itself, or for one of another machine.
 */
export function sharedBuffersForReplay(availableMemoryBytes: number): string {
  const part = Math.trunc(availableMemoryBytes / PART / MEBIBYTE);
  return `${Math.min(MOST_MIB, Math.max(LEAST_MIB, part))}MB`;
}
