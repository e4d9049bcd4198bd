import { chown, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInstanceControl } from '../../src/adapters/instance/control.ts';
import { createInstanceReader } from '../../src/adapters/instance/reader.ts';
import { createPostgresReader } from '../../src/adapters/postgres/reader.ts';
import { createPostgresWriter } from '../../src/adapters/postgres/writer.ts';
import { createProcessRunner } from '../../src/adapters/process/index.ts';
import type { FileOwner, InstanceControl, InstanceReader, PostgresInstallation } from '../../src/ports/instance.ts';
import type { OperationContext } from '../../src/ports/operation.ts';
import type { PostgresReader, PostgresWriter, ServerAddress } from '../../src/ports/postgres-server.ts';
import type { ProcessRunner } from '../../src/ports/process-runner.ts';

/** The newest one that is installed is tested. */
const MAJORS = [18, 17, 16, 15, 14];
const PATIENCE_MS = 30_000;

/** A directory of its own for real servers, with the real adapters. */
export interface Workshop {
  readonly runner: ProcessRunner;
  readonly reader: InstanceReader;
  readonly control: InstanceControl;
  readonly postgres: PostgresReader & PostgresWriter;
  readonly context: OperationContext;
  /** Short, so that sockets fit; belongs to `owner`. */
  readonly root: string;
  /** Who runs the servers: postgres where we are root. */
  readonly owner: FileOwner;
  readonly installation: PostgresInstallation;
  /** Runs a program as `owner` and expects success; gives its stdout. */
  run(file: string, argv: readonly string[]): Promise<string>;
  /** initdb, with trust for everybody. */
  initialise(dataDirectory: string): Promise<void>;
  /** Starts it in its own socket directory `root`, without TCP unless the settings say otherwise, and waits for connections. */
  start(dataDirectory: string, settings?: Readonly<Record<string, string>>): Promise<TestServer>;
  stop(dataDirectory: string, mode?: 'fast' | 'immediate'): Promise<void>;
  /** psql, as the superuser, each statement a transaction of its own; gives unaligned rows. */
  psql(server: TestServer, ...statements: string[]): Promise<string>;
  dispose(): Promise<void>;
}

export interface TestServer {
  readonly dataDirectory: string;
  readonly port: number;
  readonly address: ServerAddress;
  readonly logFile: string;
}

export async function openWorkshop(): Promise<Workshop> {
  const runner = createProcessRunner();
  const [reader, control] = [createInstanceReader({ runner }), createInstanceControl({ runner })];
  const postgres = { ...createPostgresReader(), ...createPostgresWriter() };
  const context: OperationContext = { signal: new AbortController().signal };
  const owner = process.geteuid?.() === 0 ? await reader.findUser('postgres') : reader.currentUser();
  const installations = await Promise.all(MAJORS.map((major) => reader.findInstallation(major, context)));
  const installation = installations.find((one) => one !== undefined);
  if (owner === undefined || installation === undefined)
    throw new Error(`PostgreSQL (${MAJORS.join(', ')}) and its user have to be installed`);
  const root = await mkdtemp(join(tmpdir(), 'w'));
  await chown(root, owner.uid, owner.gid);
  const started: string[] = [];

  const run = async (file: string, argv: readonly string[]) => {
    const path = file.includes('/') ? file : join(installation.binDirectory, file);
    const result = await runner.run({ file: path, argv, user: owner, signal: context.signal, timeoutMs: 60_000 });
    if (result.exitCode !== 0) throw new Error(`${file} ${argv.join(' ')}: ${result.stderrTail}${result.stdout}`);
    return result.stdout;
  };
  const stop = (dataDirectory: string, mode: 'fast' | 'immediate' = 'fast') =>
    control.stopServer({ dataDirectory, binDirectory: installation.binDirectory, owner, mode }, context);
  return {
    runner,
    reader,
    control,
    postgres,
    context,
    root,
    owner,
    installation,
    run,
    stop,
    async initialise(dataDirectory) {
      await run('initdb', ['-D', dataDirectory, '-U', 'postgres', '-A', 'trust', '-N', '-E', 'UTF8', '--locale=C']);
    },
    async start(dataDirectory, { listen_addresses: listenAddresses = '', ...settings } = {}) {
      const port = await reader.findFreePort();
      const logFile = `${dataDirectory}.log`;
      const place = {
        dataDirectory,
        binDirectory: installation.binDirectory,
        owner,
        port,
        socketDirectory: root,
        listenAddresses,
        logFile,
      };
      await control.startServer({ ...place, settings: { fsync: 'off', ...settings } }, context);
      started.push(dataDirectory);
      const server = { dataDirectory, port, logFile, address: { kind: 'socket', socketDirectory: root, port, user: 'postgres' } } as const;
      await eventually(() => postgres.observeRecovery(server.address, context));
      return server;
    },
    async psql(server, ...statements) {
      const commands = statements.flatMap((statement) => ['-c', statement]);
      return (await run('psql', ['-h', root, '-p', String(server.port), '-U', 'postgres', '-d', 'postgres', '-XAtq', ...commands])).trim();
    },
    async dispose() {
      for (const dataDirectory of started) await stop(dataDirectory, 'immediate');
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** Tries until it succeeds; fails with its last error after half a minute. */
export async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (thrown) {
      if (Date.now() > deadline) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

export async function logOf(server: TestServer): Promise<string> {
  return readFile(server.logFile, 'utf8');
}
