import { Client } from 'pg';

/** One row that PostgreSQL acknowledged as committed. */
export interface LedgerEntry {
  readonly n: number;
  readonly xid: string;
  /** By the server: what recovery compares with a target time. Microseconds since the epoch. */
  readonly committedMicros: bigint;
  /** The insert position right after the commit: everything up to here includes this row, nothing later does. */
  readonly lsnAfter: string;
}

const TABLE = 'ledger';

/**
 * A client that commits numbered rows one by one and keeps, outside the database, what was acknowledged: the measure of
 * what a restore has to bring back. The server needs track_commit_timestamp.
 */
export class Ledger {
  readonly #client: Client;
  readonly #entries: LedgerEntry[] = [];

  private constructor(client: Client) {
    this.#client = client;
  }

  static async open(url: string): Promise<Ledger> {
    const client = new Client({ connectionString: url, application_name: 'ledger' });
    await client.connect();
    await client.query(`CREATE TABLE IF NOT EXISTS ${TABLE} (n bigint PRIMARY KEY, note text NOT NULL)`);
    const { rows } = await client.query<{ n: string | null }>(`SELECT max(n) AS n FROM ${TABLE}`);
    const ledger = new Ledger(client);
    ledger.#next = Number(rows[0]?.n ?? 0) + 1;
    return ledger;
  }

  #next = 1;

  get entries(): readonly LedgerEntry[] {
    return this.#entries;
  }

  get last(): LedgerEntry {
    const last = this.#entries.at(-1);
    if (last === undefined) throw new Error('nothing was committed yet');
    return last;
  }

  /** Commits `count` rows, each in a transaction of its own. */
  async commit(count: number, tablespaceTable?: string): Promise<LedgerEntry> {
    for (let i = 0; i < count; i += 1) this.#entries.push(await this.#commitOne(tablespaceTable));
    return this.last;
  }

  async #commitOne(tablespaceTable: string | undefined): Promise<LedgerEntry> {
    const n = this.#next;
    await this.#client.query('BEGIN');
    const inserted = await this.#client.query<{ xid: string }>(
      `INSERT INTO ${TABLE} VALUES ($1::bigint, repeat(md5($1::bigint::text), 8)) RETURNING pg_current_xact_id()::text AS xid`,
      [n],
    );
    if (tablespaceTable !== undefined) await this.#client.query(`INSERT INTO ${tablespaceTable} VALUES ($1)`, [n]);
    await this.#client.query('COMMIT');
    this.#next += 1;
    const xid = inserted.rows[0]?.xid ?? '';
    const { rows } = await this.#client.query<{ micros: string; lsn: string }>(
      `SELECT (extract(epoch FROM pg_xact_commit_timestamp(($1::text::bigint % 4294967296)::text::xid)) * 1000000)::bigint::text AS micros, pg_current_wal_insert_lsn()::text AS lsn`,
      [xid],
    );
    return { n, xid, committedMicros: BigInt(rows[0]?.micros ?? 0), lsnAfter: rows[0]?.lsn ?? '' };
  }

  /** Any statement on the same connection. */
  async query(statement: string): Promise<void> {
    await this.#client.query(statement);
  }

  /** The server's clock, in microseconds since the epoch. */
  async serverMicros(): Promise<bigint> {
    const { rows } = await this.#client.query<{ micros: string }>(
      'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text AS micros',
    );
    return BigInt(rows[0]?.micros ?? 0);
  }

  async close(): Promise<void> {
    await this.#client.end();
  }
}

/** The numbers that a restored server has, in order. */
export async function readLedger(connection: {
  readonly host: string;
  readonly port: number;
  readonly user: string;
}): Promise<readonly number[]> {
  const client = new Client({ ...connection, database: 'postgres' });
  await client.connect();
  try {
    const { rows } = await client.query<{ n: string }>(`SELECT n FROM ${TABLE} ORDER BY n`);
    return rows.map((row) => Number(row.n));
  } finally {
    await client.end();
  }
}
