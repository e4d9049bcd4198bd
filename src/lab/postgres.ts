import { chown, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessResult } from '../ports/process-runner.ts';
import { runTool, waitUntil, type LabContext } from './context.ts';
import { assertAlive, LAB_MARK, startDaemon, type Account } from './daemon.ts';
import type { LabNode } from './description.ts';
import { nodeHome, REPLICATION_ROLE, slotOf, SUPERUSER, type LabLayout } from './layout.ts';

/** One installed PostgreSQL, and whom it runs as. */
export interface LabPostgres {
  readonly layout: LabLayout;
  readonly binDirectory: string;
  readonly account: Account;
  readonly walSegmentSizeMb: number;
  readonly tablespace: boolean;
  /** Whether the servers note which blocks changed. */
  readonly summarizesWal: boolean;
}

const START_TIMEOUT_MS = 60_000;
const STREAMING_TIMEOUT_MS = 60_000;
const NODE_SETTINGS = 'spoke-lab.conf';
const TABLESPACE = 'lab_tablespace';

/**
 * initdb. Passwords by TCP (scram), none on the unix socket, whose directory is open to its owner only.
 * The files of the new cluster are not synced one by one; what is committed later is.
 */
export async function initialise(postgres: LabPostgres, node: LabNode, context: LabContext): Promise<void> {
  const locale = ['--encoding=UTF8', '--locale=C'];
  const authentication = ['--auth-local=trust', '--auth-host=scram-sha-256', `--pwfile=${postgres.layout.superuserPassword}`];
  const storage = ['--data-checksums', `--wal-segsize=${postgres.walSegmentSizeMb}`, '--no-sync'];
  const argv = [`--pgdata=${node.dataDirectory}`, `--username=${SUPERUSER}`, ...locale, ...authentication, ...storage];
  await run(postgres, 'initdb', argv, context);
  const path = join(node.dataDirectory, 'postgresql.conf');
  const content = await readFile(path, 'utf8');
  await writeFile(path, `${content}\ninclude_if_exists = '${NODE_SETTINGS}'\n`);
}

/** What makes this node differ from the others. After initdb or pg_basebackup, before the start. */
export async function configureNode(postgres: LabPostgres, node: LabNode): Promise<void> {
  const path = join(node.dataDirectory, NODE_SETTINGS);
  await writeFile(path, nodeSettings(node, postgres), { mode: 0o600 });
  await chown(path, postgres.account.uid, postgres.account.gid);
}

function nodeSettings(node: LabNode, { summarizesWal }: LabPostgres): string {
  const settings: Readonly<Record<string, string>> = {
    cluster_name: node.name,
    listen_addresses: '127.0.0.1',
    port: String(node.port),
    unix_socket_directories: node.socketDirectory,
    wal_level: 'replica',
    wal_log_hints: 'on',
    // What recovery compares with a target time can then be asked for, row by row.
    track_commit_timestamp: 'on',
    // Takes a restart to change; with an empty command WAL is kept until there is one.
    archive_mode: 'on',
    archive_command: '',
    max_wal_senders: '10',
    max_replication_slots: '10',
    max_connections: '50',
    shared_buffers: '32MB',
    password_encryption: 'scram-sha-256',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] ',
    ...(summarizesWal ? { summarize_wal: 'on' } : {}),
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
    .join('');
}

/** Starts the server and waits until it takes connections. */
export async function startServer(postgres: LabPostgres, node: LabNode, context: LabContext): Promise<void> {
  const record = await startDaemon(postgres.layout.directory, {
    name: node.name,
    file: join(postgres.binDirectory, 'postgres'),
    argv: ['-D', node.dataDirectory],
    workingDirectory: node.dataDirectory,
    logFile: node.logFile,
    account: postgres.account,
  });
  await chown(node.logFile, postgres.account.uid, postgres.account.gid);
  await waitUntil(`${node.name} takes connections`, START_TIMEOUT_MS, context.signal, async () => {
    await assertAlive(record, node.logFile);
    const argv = ['--quiet', `--host=${node.socketDirectory}`, `--port=${node.port}`, `--username=${SUPERUSER}`];
    const { exitCode } = await tryRun(postgres, 'pg_isready', argv, context);
    return exitCode === 0 ? true : undefined;
  });
}

/** The role, the slots and the tablespace, before the standbys are copied. */
export async function preparePrimary(
  postgres: LabPostgres,
  primary: LabNode,
  standbys: readonly LabNode[],
  context: LabContext,
): Promise<void> {
  const password = (await readFile(postgres.layout.replicationPassword, 'utf8')).trim();
  const statements = [`CREATE ROLE ${REPLICATION_ROLE} REPLICATION LOGIN PASSWORD '${password}'`];
  // Reserving WAL at once, so that none is lost between the copy and the first connection.
  for (const standby of standbys) statements.push(`SELECT pg_create_physical_replication_slot('${slotOf(standby)}', true)`);
  if (postgres.tablespace) statements.push(`CREATE TABLESPACE ${TABLESPACE} LOCATION '${nodeHome(primary).tablespace}'`);
  await query(postgres, primary, statements.map((each) => `${each};\n`).join(''), context);
}

/** pg_basebackup on the standby's slot; primary_conninfo, primary_slot_name and standby.signal are written by it. */
export async function copyStandby(postgres: LabPostgres, primary: LabNode, standby: LabNode, context: LabContext): Promise<void> {
  const connection = `host=127.0.0.1 port=${primary.port} user=${REPLICATION_ROLE} passfile=${postgres.layout.passwordFile}`;
  const tablespaces = postgres.tablespace ? [`--tablespace-mapping=${nodeHome(primary).tablespace}=${nodeHome(standby).tablespace}`] : [];
  const copy = [
    `--slot=${slotOf(standby)}`,
    '--wal-method=stream',
    '--checkpoint=fast',
    '--write-recovery-conf',
    '--no-sync',
    '--no-password',
  ];
  await run(postgres, 'pg_basebackup', [`--dbname=${connection}`, `--pgdata=${standby.dataDirectory}`, ...copy, ...tablespaces], context);
}

/** Waits until each of them streams. A walreceiver is called by the server's cluster_name. */
export async function waitForStreaming(
  postgres: LabPostgres,
  primary: LabNode,
  standbys: readonly LabNode[],
  context: LabContext,
): Promise<void> {
  await waitUntil('all standbys stream', STREAMING_TIMEOUT_MS, context.signal, async () => {
    const output = await query(postgres, primary, "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming';\n", context);
    const names = new Set(output.split('\n'));
    return standbys.every((standby) => names.has(standby.name)) ? true : undefined;
  });
}

/** Runs SQL as superuser by the unix socket and returns what psql prints, unaligned. */
async function query(postgres: LabPostgres, node: LabNode, sql: string, context: LabContext): Promise<string> {
  const connection = [`--host=${node.socketDirectory}`, `--port=${node.port}`, `--username=${SUPERUSER}`, '--dbname=postgres'];
  const options = ['--no-psqlrc', '--quiet', '--tuples-only', '--no-align', '--set=ON_ERROR_STOP=1', '--file=-'];
  const { stdout } = await runTool(context, { ...requestOf(postgres, 'psql', [...connection, ...options]), input: sql });
  return stdout;
}

function run(postgres: LabPostgres, program: string, argv: readonly string[], context: LabContext): Promise<ProcessResult> {
  return runTool(context, requestOf(postgres, program, argv));
}

function tryRun(postgres: LabPostgres, program: string, argv: readonly string[], context: LabContext): Promise<ProcessResult> {
  return context.processes.run({ ...requestOf(postgres, program, argv), signal: context.signal, timeoutMs: START_TIMEOUT_MS });
}

function requestOf(postgres: LabPostgres, program: string, argv: readonly string[]) {
  const { binDirectory, account, layout } = postgres;
  const environment = { [LAB_MARK]: layout.directory, TZ: 'UTC' };
  return { file: join(binDirectory, program), argv, cwd: layout.directory, user: { uid: account.uid, gid: account.gid }, environment };
}
