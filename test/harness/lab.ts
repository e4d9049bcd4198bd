import { chown, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Client, type QueryResultRow } from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { parseDocument } from 'yaml';
import type { LabDescription, LabNode } from '../../src/lab/description.ts';
import type { RestoreResult } from '../../src/cli/render/restore.ts';
import { LabBucket } from './bucket.ts';
import { type Account, type CliError, ensureBuilt, outputOf, runProgram, spokeError, spokeJson, spokeSuccessfully } from './cli.ts';

const SUPERUSER = 'postgres';
const PATIENCE_MS = 30_000;
const POLL_MS = 50;

export type Engine = 'pgbackrest' | 'native';

export interface LabOptions {
  /** pgBackRest where it is not given. */
  readonly engine?: Engine;
  readonly nodes?: number;
  readonly s3?: boolean;
  /** The repository in S3 with many files an object, without which each small file is a request. */
  readonly bundle?: boolean;
  /** A pgBackRest that gives up soon: its own retries of what is really broken cost up to a minute. */
  readonly impatient?: boolean;
  /** How long an impatient one waits for an answer; a dead repository takes it eight times as long. */
  readonly ioTimeoutSeconds?: number;
  /** Who makes the lab and works in it; whoever runs the tests where it is not given. */
  readonly account?: Account;
}

/** Where a server is reached by its socket. */
export interface ServerAddress {
  readonly socketDirectory: string;
  readonly port: number;
}

/** What --json prints of a backup, as far as tests look at it. */
export interface Backup {
  readonly label: string;
  readonly repository: string;
  readonly type: string;
  readonly stopTime: string;
  readonly startLsn: string;
  readonly stopLsn: string;
  readonly timeline: number;
}

/** A lab of the running test file, worked with as a user would: by the command line. */
export class Lab {
  readonly description: LabDescription;
  /** Whom its servers run as. */
  readonly owner: Account;
  readonly engine: Engine;
  readonly #account: Account | undefined;

  constructor(description: LabDescription, engine: Engine, owner: Account, account: Account | undefined) {
    this.description = description;
    this.engine = engine;
    this.owner = owner;
    this.#account = account;
  }

  get directory(): string {
    return this.description.directory;
  }

  get primary(): LabNode {
    return this.description.primary;
  }

  node(name: string): LabNode {
    const found = [this.primary, ...this.description.standbys].find((node) => node.name === name);
    if (found === undefined) throw new Error(`the lab has no ${name}`);
    return found;
  }

  /** The native engine needs PostgreSQL's help, which came with 17. */
  get takesIncrementals(): boolean {
    return this.engine === 'pgbackrest' || Number.parseInt(this.description.postgresVersion, 10) >= 17;
  }

  get #options() {
    return { config: this.description.config, account: this.#account };
  }

  /** A command that has to succeed; its JSON document. */
  json<T>(...argv: string[]): Promise<T> {
    return spokeJson<T>(argv, this.#options);
  }

  /** A command that has to fail; its error. */
  error(...argv: string[]): Promise<CliError> {
    return spokeError(argv, this.#options);
  }

  /** A command that has to succeed; its JSON document, and what it said meanwhile. */
  async spoke(...argv: string[]): Promise<{ readonly document: unknown; readonly stderr: string }> {
    return spokeSuccessfully(argv, this.#options);
  }

  /** Takes a backup into every repository, or into one. */
  async backup(type: 'full' | 'incr', ...argv: string[]): Promise<readonly Backup[]> {
    return (await this.json<{ backups: readonly Backup[] }>('backup', '--type', type, ...argv)).backups;
  }

  /** Restores into a directory of its own in the lab. */
  restore(name: string, ...argv: string[]): Promise<RestoreResult> {
    return this.json<RestoreResult>('restore', '--data-directory', join(this.directory, name), ...argv);
  }

  /** Runs a program as the account of the servers. */
  asOwner(file: string, ...argv: string[]): Promise<string> {
    return outputOf(file, argv, { account: this.owner });
  }

  /** A program of the lab's PostgreSQL, as the account of the servers. */
  postgresql(program: string, ...argv: string[]): Promise<string> {
    return this.asOwner(join(this.description.postgresqlBinDirectory, program), ...argv);
  }

  /** Stops a server cleanly, or at once as in a crash that it comes back from by recovery. */
  async stop(dataDirectory: string, mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.postgresql('pg_ctl', 'stop', '--wait', '--silent', `--pgdata=${dataDirectory}`, `--mode=${mode}`);
  }

  /** Starts a server with its own configuration, but for what is given, and waits until it takes connections. */
  async start(dataDirectory: string, address?: ServerAddress, settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const place = address === undefined ? [] : [`-p ${address.port}`, `-k ${address.socketDirectory}`];
    const options = [...place, ...Object.entries(settings).map(([name, value]) => `-c ${name}='${value}'`)].join(' ');
    // Inside, since the lab's own directory need not be the owner's to write to.
    const argv = ['start', '--wait', '--silent', `--pgdata=${dataDirectory}`, `--log=${dataDirectory}/started.log`];
    await this.postgresql('pg_ctl', ...argv, ...(options === '' ? [] : [`--options=${options}`]));
  }

  async isRunning(dataDirectory: string): Promise<boolean> {
    const program = join(this.description.postgresqlBinDirectory, 'pg_ctl');
    return (await runProgram(program, ['status', `--pgdata=${dataDirectory}`], { account: this.owner })).exitCode === 0;
  }

  /** Ends a restored server and removes what belongs to it. */
  async remove(restored: Pick<RestoreResult, 'dataDirectory' | 'socketDirectory'>): Promise<void> {
    const { dataDirectory, socketDirectory } = restored;
    if (await this.isRunning(dataDirectory)) await this.stop(dataDirectory, 'immediate');
    for (const path of [dataDirectory, socketDirectory, `${dataDirectory}.log`]) await rm(path, { recursive: true, force: true });
  }

  /** A directory that belongs to the account of the servers. */
  async makeDirectory(name: string): Promise<string> {
    const path = join(this.directory, name);
    await mkdir(path, { mode: 0o700 });
    await chown(path, this.owner.uid, this.owner.gid);
    return path;
  }

  /** Behind the program's back. */
  get bucket(): LabBucket {
    const { s3 } = this.description;
    if (s3 === undefined) throw new Error('the lab has no S3 server');
    return new LabBucket(s3);
  }

  /** Where the native engine keeps what belongs to the repository `local`. */
  get nativeDirectory(): string {
    return join(this.directory, 'repository/native/lab');
  }

  /** The names that the files of the WAL archive have in a repository, with what the engine appends to them. */
  async walFiles(repository: 'local' | 's3'): Promise<readonly string[]> {
    if (this.engine === 'pgbackrest')
      return (await this.repositoryFiles(repository === 'local' ? 1 : 2, 'archive/lab')).map((path) => basename(path));
    if (repository === 's3') return (await this.bucket.keys('native/lab/wal/')).map((path) => basename(path));
    const files = await readdir(join(this.nativeDirectory, 'wal'), { recursive: true, withFileTypes: true });
    return files.filter((file) => file.isFile()).map(({ name }) => name);
  }

  /** The names of the files below a path of a repository, by pgBackRest. `number`: its place in the configuration, from 1. */
  async repositoryFiles(number: number, path: string): Promise<readonly string[]> {
    const config = join(this.description.stateDirectory, 'pgbackrest/lab/pgbackrest.conf');
    const listed = await this.asOwner(
      'pgbackrest',
      `--config=${config}`,
      '--log-level-console=off',
      '--log-level-file=off',
      `--repo=${number}`,
      '--output=json',
      '--recurse',
      'repo-ls',
      path,
    );
    return Object.keys(JSON.parse(listed) as object);
  }
}

/** Makes a lab before the tests of the file and takes it down after them. */
export function useLab(options: LabOptions = {}): () => Lab {
  let lab: Lab | undefined;
  const directory = join(tmpdir(), 'lab');
  const { account, engine = 'pgbackrest' } = options;

  beforeAll(async () => {
    await ensureBuilt();
    const argv = [
      'lab',
      'up',
      '--dir',
      directory,
      '--nodes',
      String(options.nodes ?? 1),
      ...(options.s3 === false ? ['--no-s3'] : []),
      ...(engine === 'pgbackrest' ? [] : ['--engine', engine]),
    ];
    const description = await spokeJson<LabDescription>(argv, { account });
    const { uid, gid } = await stat(description.primary.dataDirectory);
    lab = new Lab(description, engine, { name: description.osUser, uid, gid }, account);
    // A commit of autovacuum between two rows would be the last one that a restore finds.
    await querySocket(lab.primary, 'ALTER SYSTEM SET autovacuum = off');
    await querySocket(lab.primary, 'SELECT pg_reload_conf()');
    if (options.bundle === true || options.impatient === true) await setPgbackrestOptions(lab, options);
  }, 300_000);

  afterAll(async () => {
    await spokeJson(['lab', 'down', '--dir', directory], { account });
  }, 60_000);

  return () => {
    if (lab === undefined) throw new Error('the lab is made in beforeAll');
    return lab;
  };
}

async function setPgbackrestOptions(lab: Lab, { bundle, impatient, ioTimeoutSeconds = 5 }: LabOptions): Promise<void> {
  const { config } = lab.description;
  const document = parseDocument(await readFile(config, 'utf8'));
  document.setIn(['clusters', 'lab', 'pgbackrest', 'extraOptions'], {
    ...(bundle === true && { 'repo2-bundle': true }),
    ...(impatient === true && { 'io-timeout': ioTimeoutSeconds, 'job-retry': 0 }),
  });
  await writeFile(config, document.toString());
  await lab.json('setup', 'archiving', '--confirm', 'lab');
}

/** Rows of one statement by the unix socket, as superuser. */
export async function querySocket<Row extends QueryResultRow>(
  { socketDirectory, port }: ServerAddress,
  statement: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new Client({ host: socketDirectory, port, user: SUPERUSER, database: 'postgres' });
  await client.connect();
  try {
    return (await client.query<Row>(statement, [...values])).rows;
  } finally {
    await client.end();
  }
}

/** The connection string of a server's socket. */
export function urlOf({ socketDirectory, port }: ServerAddress): string {
  return `postgresql://${SUPERUSER}@/postgres?host=${encodeURIComponent(socketDirectory)}&port=${port}`;
}

/** Resolves when `holds` does; throws with `what` where it does not in time. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
