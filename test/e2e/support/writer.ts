import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { type Lsn, parseLsn } from '../../../src/domain/postgres/lsn.ts';

const POLL_MS = 20;
const MOST_TRIES = 3000;

/** A row that was acknowledged, and where the WAL ended right before its commit. */
export interface Row {
  readonly n: number;
  readonly lsnBefore: Lsn;
}

/** Commits numbered rows into `acknowledged` until it is told to stop; connects anew where it is thrown out. What was acknowledged is kept here, outside of every server. */
export class Writer {
  readonly acknowledged: Row[] = [];
  readonly faults: string[] = [];
  readonly #url: string;
  #stopped = false;
  #n = 0;
  #done: Promise<void> | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  start(): void {
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  /** Until it has written so many more. */
  async more(count: number): Promise<void> {
    const wanted = this.acknowledged.length + count;
    for (let tries = 0; this.acknowledged.length < wanted; tries += 1) {
      if (tries > MOST_TRIES) throw new Error(`nothing is written any more: ${this.faults.at(-1) ?? ''}`);
      await delay(POLL_MS);
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const client = new Client({ connectionString: this.#url });
      client.on('error', () => undefined);
      try {
        await client.connect();
        await this.#writeBy(client);
      } catch (thrown) {
        this.faults.push(thrown instanceof Error ? thrown.message : String(thrown));
        await delay(POLL_MS);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }

  async #writeBy(client: Client): Promise<void> {
    while (!this.#stopped) {
      this.#n += 1;
      const insert = 'INSERT INTO acknowledged VALUES ($1) RETURNING pg_current_wal_insert_lsn() AS lsn';
      const { rows } = await client.query<{ lsn: string }>(insert, [this.#n]);
      this.acknowledged.push({ n: this.#n, lsnBefore: parseLsn(rows[0]?.lsn ?? '') });
    }
  }
}
