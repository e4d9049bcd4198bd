import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runProgram } from '../../harness/cli.ts';
import { type Lab, querySocket, type ServerAddress, until } from '../../harness/lab.ts';

/** Rows in one table, whose numbers only ever grow: whatever a restore brings back is told by them. */
export class Rows {
  readonly #lab: Lab;
  #last = 0;

  private constructor(lab: Lab) {
    this.#lab = lab;
  }

  static async begin(lab: Lab): Promise<Rows> {
    await querySocket(lab.primary, 'CREATE TABLE numbers (n bigint PRIMARY KEY)');
    return new Rows(lab);
  }

  /** Commits one more row and gives its number. */
  async commit(): Promise<number> {
    this.#last += 1;
    await querySocket(this.#lab.primary, 'INSERT INTO numbers VALUES ($1)', [this.#last]);
    return this.#last;
  }

  /** All that are there now. */
  now(): Promise<readonly number[]> {
    return rowsOf(this.#lab.primary);
  }
}

/** The numbers that a server has, in order. */
export async function rowsOf(server: ServerAddress): Promise<readonly number[]> {
  return (await querySocket<{ n: string }>(server, 'SELECT n FROM numbers ORDER BY n')).map(({ n }) => Number(n));
}

/** The server's clock with its microseconds, as --to takes it. */
export async function serverTime(server: ServerAddress): Promise<string> {
  const [row] = await querySocket<{ now: string }>(
    server,
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`,
  );
  return row?.now ?? '';
}

/** A directory as rename leaves it: by device and inode. */
export function identityOf(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false, bigint: true });
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
}

/** Where beside `path`, or there, the directory is now. */
export function findDirectory(path: string, identity: string | undefined): string | undefined {
  const siblings = readdirSync(dirname(path)).map((name) => join(dirname(path), name));
  return siblings.find((sibling) => identityOf(sibling) === identity);
}

/** What a restore makes beside a data directory and has to take away again. */
export function restoreAreasBeside(path: string): readonly string[] {
  return readdirSync(dirname(path)).filter((name) => name.startsWith('.spoke-restore-'));
}

/** Boots a data directory where nobody else sees it, reads its rows, stops it cleanly. */
export async function bootForRows(lab: Lab, dataDirectory: string): Promise<readonly number[]> {
  const socketDirectory = await lab.makeDirectory(`boot-${Math.random().toString(36).slice(2, 8)}`);
  const address = { socketDirectory, port: 5432 };
  const options = `-k ${socketDirectory} -p 5432 -c listen_addresses= -c archive_mode=off`;
  await lab.postgresql(
    'pg_ctl',
    'start',
    '--wait',
    '--silent',
    `--pgdata=${dataDirectory}`,
    `--log=${socketDirectory}/log`,
    `--options=${options}`,
  );
  try {
    return await rowsOf(address);
  } finally {
    await lab.stop(dataDirectory);
  }
}

/** What pg_controldata calls the state of a cluster; undefined where it cannot be started at all. */
export async function clusterState(lab: Lab, dataDirectory: string): Promise<string | undefined> {
  const file = join(lab.description.postgresqlBinDirectory, 'pg_controldata');
  const { stdout } = await runProgram(file, ['-D', dataDirectory], { account: lab.owner });
  return /^Database cluster state: +(.+)$/m.exec(stdout)?.[1];
}

/** Waits until a target of now lies after every backup: the catalogue knows whole seconds only. */
export async function untilBackupsArePast(lab: Lab): Promise<void> {
  const { backups } = await lab.json<{ backups: readonly { stopTime: string }[] }>('backups');
  const last = Math.max(...backups.map(({ stopTime }) => Date.parse(stopTime)));
  await until('the second of the last backup has passed', async () => Date.parse(await serverTime(lab.primary)) >= last + 1000);
}
