import { Client } from 'pg';

/** One row that PostgreSQL acknowledged as committed. */
export interface LedgerEntry {
  readonly n: number;
  readonly xid: string;
  /** By the server: what recovery compares with a target time. Microseconds since the epoch. */
  readonly committedMicros: bigint;
  /** The insert position just before the commit: its record begins here, unless another process wrote in between. */
  readonly lsnBefore: string;
  /** The insert position right after the commit: everything up to here includes this row, nothing later does. */
  readonly lsnAfter: string;
}

const TABLE = 'ledger';

/**
 * A client that commits numbered rows one by one and keeps, outside the database, what was acknowledged: the measure of
 * what a restore has to bring back. Its entries are in the order of their commits. The server needs track_commit_timestamp.
 */
export class Ledger {
  #client: Client;
  readonly #entries: LedgerEntry[] = [];
  #next = 1;

  private constructor(client: Client) {
    this.#client = client;
  }

  static async open(url: string): Promise<Ledger> {
    const client = await connect(url);
    await client.query(`CREATE TABLE IF NOT EXISTS ${TABLE} (n bigint PRIMARY KEY, note text NOT NULL)`);
    const { rows } = await client.query<{ n: string | null }>(`SELECT max(n) AS n FROM ${TABLE}`);
    const ledger = new Ledger(client);
    ledger.#next = Number(rows[0]?.n ?? 0) + 1;
    return ledger;
  }

  /** Goes on at another server, or at the same one after a restart. Numbers go on too: none is given twice. */
  async moveTo(url: string): Promise<void> {
    await this.close();
    this.#client = await connect(url);
  }

  get entries(): readonly LedgerEntry[] {
    return this.#entries;
  }

  get last(): LedgerEntry {
    const last = this.#entries.at(-1);
    if (last === undefined) throw new Error('nothing was committed yet');
    return last;
  }

  /** Commits `count` rows, each in a transaction of its own; `alsoInto` gets the number too. */
  async commit(count: number, alsoInto?: string): Promise<LedgerEntry> {
    for (let i = 0; i < count; i += 1) {
      const begun = await this.#begin(this.#client, alsoInto);
      await this.#finish(this.#client, begun);
    }
    return this.last;
  }

  /** Has a second client begin a row before, and commit it after, a row of this one: its xid is lower, its commit later. */
  async commitOvertaken(url: string, alsoInto?: string): Promise<void> {
    const slower = await connect(url);
    try {
      const overtaken = await this.#begin(slower, alsoInto);
      await this.commit(1, alsoInto);
      await this.#finish(slower, overtaken);
    } finally {
      await slower.end();
    }
  }

  /** A row that is written and never committed: no restore may bring it. */
  async abort(alsoInto?: string): Promise<void> {
    await this.#begin(this.#client, alsoInto);
    await this.#client.query('ROLLBACK');
  }

  async #begin(client: Client, alsoInto: string | undefined): Promise<{ n: number; xid: string }> {
    const n = this.#next;
    this.#next += 1;
    await client.query('BEGIN');
    const { rows } = await client.query<{ xid: string }>(
      `INSERT INTO ${TABLE} VALUES ($1::bigint, repeat(md5($1::bigint::text), 8)) RETURNING pg_current_xact_id()::text AS xid`,
      [n],
    );
    if (alsoInto !== undefined) await client.query(`INSERT INTO ${alsoInto} VALUES ($1)`, [n]);
    return { n, xid: rows[0]?.xid ?? '' };
  }

  async #finish(client: Client, { n, xid }: { n: number; xid: string }): Promise<void> {
    const before = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
    await client.query('COMMIT');
    const { rows } = await client.query<{ micros: string; lsn: string }>(
      `SELECT (extract(epoch FROM pg_xact_commit_timestamp(($1::text::bigint % 4294967296)::text::xid)) * 1000000)::bigint::text AS micros, pg_current_wal_insert_lsn()::text AS lsn`,
      [xid],
    );
    const committed = { committedMicros: BigInt(rows[0]?.micros ?? 0), lsnBefore: before.rows[0]?.lsn ?? '', lsnAfter: rows[0]?.lsn ?? '' };
    this.#entries.push({ n, xid, ...committed });
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

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: 'ledger' });
  // The end of a server that is stopped or killed shows in the next statement.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** The numbers that a restored server has, in order. */
export async function readLedger(
  connection: { readonly host: string; readonly port: number; readonly user: string },
  table = TABLE,
): Promise<readonly number[]> {
  const client = new Client({ ...connection, database: 'postgres' });
  await client.connect();
  try {
    const { rows } = await client.query<{ n: string }>(`SELECT n FROM ${table} ORDER BY n`);
    return rows.map((row) => Number(row.n));
  } finally {
    await client.end();
  }
}
