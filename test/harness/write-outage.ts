import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';

const WRITERS = 4;
/** After the change, so that whoever was thrown out has written again. */
const WRITES_AFTER = 2 * WRITERS;
const PATIENCE_MS = 60_000;
const POLL_MS = 10;

/** What clients saw of a change of the primary. */
export interface WriteOutage {
  /** The longest time between two acknowledged commits of all clients together. */
  readonly seconds: number;
  readonly acknowledged: number;
}

/**
 * Lets clients write into the table `written (n bigserial)`, each a row a transaction, while `change` runs. `urls`: tried in turn where a
 * connection breaks or may not write, as clients with several hosts do. Rejects where nobody can write any more afterwards.
 */
export async function writeOutageDuring(urls: readonly string[], change: () => Promise<unknown>): Promise<WriteOutage> {
  const commits: number[] = [];
  const state = { isOver: false };
  const writers = Array.from({ length: WRITERS }, () => write(urls, commits, () => state.isOver));
  try {
    await more(commits, WRITES_AFTER);
    await change();
    await more(commits, WRITES_AFTER);
  } finally {
    state.isOver = true;
    await Promise.all(writers);
  }
  const longestMs = commits.reduce((most, at, index) => Math.max(most, at - (commits[index - 1] ?? at)), 0);
  return { seconds: longestMs / 1000, acknowledged: commits.length };
}

async function more(commits: readonly number[], count: number): Promise<void> {
  const [wanted, deadline] = [commits.length + count, performance.now() + PATIENCE_MS];
  while (commits.length < wanted) {
    if (performance.now() > deadline) throw new Error('nobody can write any more');
    await delay(POLL_MS);
  }
}

async function write(urls: readonly string[], commits: number[], isOver: () => boolean): Promise<void> {
  for (let attempt = 0; !isOver(); attempt += 1) {
    const client = new Client({ connectionString: urls[attempt % urls.length], connectionTimeoutMillis: 2000, query_timeout: 5000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      while (!isOver()) {
        await client.query('INSERT INTO written DEFAULT VALUES');
        commits.push(performance.now());
      }
    } catch {
      await delay(POLL_MS);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
