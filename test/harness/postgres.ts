import { chown, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProcessRunner } from '../../src/adapters/process/index.ts';
import { processesLeftBelow } from '../../scripts/vitest/test-root.ts';

const INSTALLATIONS = '/usr/lib/postgresql';
const TIME_LIMIT_MS = 120_000;
/** pgBackRest's asynchronous processes outlive the server that asked for them, and write as long as they live. */
const AFTERLIFE_MS = 20_000;
/** In a directory of sockets of its own: no other server can have it there. */
const PORT = 5432;
const SUPERUSER = 'postgres';

/** Whom the servers of the tests run as: postgres where we are root, else whoever we are. */
export interface ServerOwner {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/** A directory below the test's own that belongs to the owner of the servers, with what runs in it. */
export interface TestArea {
  readonly path: string;
  readonly owner: ServerOwner;
  /** A new empty directory of that owner. */
  directory(name: string): Promise<string>;
  /** Runs a program as that owner; resolves with its stdout. Throws where it ends with another exit code than 0. */
  run(file: string, argv: readonly string[]): Promise<string>;
  /** Stops the servers that were started in it, and removes everything. */
  remove(): Promise<void>;
  /** Called before everything is removed. */
  onRemove(action: () => Promise<void>): void;
}

/** A throw-away server, reached by a socket alone. */
export interface TestServer {
  readonly dataDirectory: string;
  readonly socketDirectory: string;
  readonly port: number;
  start(settings?: Readonly<Record<string, string>>, environment?: Readonly<Record<string, string>>): Promise<void>;
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  /** Runs one statement; resolves with its rows, a line each, columns between `|`. */
  sql(statement: string): Promise<string>;
  serverLog(): Promise<string>;
}

const runner = createProcessRunner();

/** The programs of the newest PostgreSQL that this machine has. Throws where it has none. */
export async function newestInstallation(): Promise<{ readonly major: number; readonly binDirectory: string }> {
  const majors = (await readdir(INSTALLATIONS).catch(() => [])).map(Number).filter((major) => major > 0);
  const major = Math.max(...majors);
  if (majors.length === 0) throw new Error(`There is no PostgreSQL below ${INSTALLATIONS}.`);
  return { major, binDirectory: join(INSTALLATIONS, String(major), 'bin') };
}

/** A directory with a short path: the path of a socket has at most 107 bytes. */
export async function createTestArea(): Promise<TestArea> {
  const owner = await serverOwner();
  const path = await mkdtemp(join(tmpdir(), 'pg'));
  await chown(path, owner.uid, owner.gid);
  const actions: (() => Promise<void>)[] = [];
  return {
    path,
    owner,
    async directory(name) {
      const directory = join(path, name);
      await mkdir(directory, { mode: 0o700 });
      await chown(directory, owner.uid, owner.gid);
      return directory;
    },
    run: (file, argv) => runAs(owner, file, argv),
    onRemove: (action) => void actions.push(action),
    async remove() {
      for (const action of actions.splice(0).reverse()) await action();
      await processesLeftBelow(path, AFTERLIFE_MS);
      await rm(path, { recursive: true, force: true });
    },
  };
}

/** A new cluster with its server, which does not run yet. */
export async function createCluster(
  area: TestArea,
  name: string,
  options: { readonly walSegmentMegabytes?: number; readonly walDirectory?: string } = {},
): Promise<TestServer> {
  const { binDirectory } = await newestInstallation();
  const dataDirectory = await area.directory(name);
  await area.run(join(binDirectory, 'initdb'), [
    ...['-D', dataDirectory, '-U', SUPERUSER, '-A', 'trust', '-E', 'UTF8', '--locale=C', '-k', '--no-sync'],
    ...(options.walSegmentMegabytes === undefined ? [] : [`--wal-segsize=${options.walSegmentMegabytes}`]),
    ...(options.walDirectory === undefined ? [] : [`--waldir=${options.walDirectory}`]),
  ]);
  return serverOn(area, dataDirectory, `${name}.s`);
}

/** A server on a data directory that is there already, for example a restored one. */
export async function serverOn(area: TestArea, dataDirectory: string, socketDirectoryName: string): Promise<TestServer> {
  const { binDirectory } = await newestInstallation();
  const socketDirectory = await area.directory(socketDirectoryName);
  const logFile = join(socketDirectory, 'log');
  const pgCtl = (...argv: string[]) => area.run(join(binDirectory, 'pg_ctl'), ['-D', dataDirectory, '-w', ...argv]);
  const stop = async (mode = 'fast') => void (await pgCtl('stop', '-m', mode));
  area.onRemove(() => stop('immediate').catch(() => undefined));
  return {
    dataDirectory,
    socketDirectory,
    port: PORT,
    stop,
    async start(settings = {}, environment = {}) {
      const all = { port: String(PORT), unix_socket_directories: socketDirectory, listen_addresses: '', fsync: 'off', ...settings };
      const options = Object.entries(all).map(([setting, value]) => `-c ${setting}='${value.replaceAll("'", `'\\''`)}'`);
      const argv = ['-D', dataDirectory, '-w', 'start', '-l', logFile, '-o', options.join(' ')];
      // Not the environment of what changes the user first.
      await area.run('env', [
        ...Object.entries(environment).map(([name, value]) => `${name}=${value}`),
        join(binDirectory, 'pg_ctl'),
        ...argv,
      ]);
    },
    sql: async (statement) =>
      (
        await area.run(join(binDirectory, 'psql'), [
          '-XAtqh',
          socketDirectory,
          '-p',
          String(PORT),
          '-U',
          SUPERUSER,
          '-d',
          'postgres',
          '-c',
          statement,
        ])
      ).trimEnd(),
    serverLog: () => readFile(logFile, 'utf8'),
  };
}

async function runAs(owner: ServerOwner, file: string, argv: readonly string[]): Promise<string> {
  const signal = new AbortController().signal;
  const { exitCode, stdout, stderrTail } = await runner.run({ file, argv, user: owner, signal, timeoutMs: TIME_LIMIT_MS });
  if (exitCode !== 0) throw new Error(`${file} ${argv.join(' ')} ended with ${exitCode}: ${stderrTail}${stdout.slice(-2000)}`);
  return stdout;
}

async function serverOwner(): Promise<ServerOwner> {
  const wanted = process.getuid?.() === 0 ? SUPERUSER : undefined;
  for (const line of (await readFile('/etc/passwd', 'utf8')).split('\n')) {
    const [name, , uid, gid] = line.split(':');
    const isMeant = wanted === undefined ? Number(uid) === process.getuid?.() : name === wanted;
    if (name !== undefined && isMeant) return { name, uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(`This machine has no user ${wanted ?? process.getuid?.()}.`);
}
