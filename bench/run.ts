import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { archiveComparisons } from './archive.ts';
import { compare, type Comparison, type Measured } from './compare.ts';
import { withDaemonComparisons } from './daemon.ts';
import { retentionComparison } from './retention.ts';
import { describeMachine, readResults, writeResults } from './report.ts';

const root = join(import.meta.dirname, '..');
const cli = join(root, 'bin/spoke-backup');
const results = join(import.meta.dirname, 'results');

interface Lab {
  readonly directory: string;
  readonly config: string;
  readonly stateDirectory: string;
  readonly primary: { readonly dataDirectory: string; readonly port: number; readonly socketDirectory: string };
  readonly postgresqlBinDirectory: string;
  readonly postgresVersion: string;
  readonly pgbackrestVersion: string;
  readonly osUser: string;
}

interface Options {
  readonly only: readonly string[];
  readonly scale: number;
  readonly repetitions: number;
}

/** `npm run bench -- [--only backup,restore,version,backups,retention,daemon-memory,daemon-idle-cpu,daemon-growth-cpu,daemon-growth-memory,archive-random-cp,…] [--scale 100] [--repetitions 7]` */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const lab = JSON.parse((await run(cli, ['lab', 'up', '--nodes', '1', '--no-s3', '--json'])).stdout) as Lab;
  try {
    process.env['SPOKE_BACKUP_CONFIG'] = lab.config;
    const measured = await measureAll(lab, options);
    const kept = readResults(results).filter((earlier) => !measured.some((one) => one.name === earlier.name));
    writeResults(results, describeMachine({ postgres: lab.postgresVersion, pgbackrest: lab.pgbackrestVersion }), [...kept, ...measured]);
    for (const { name, ratio, goal, met } of measured) say(`${met ? 'met' : 'NOT MET'}: ${name}: ${ratio.toFixed(3)} (goal ${goal})`);
  } finally {
    await run(cli, ['lab', 'down', '--dir', lab.directory]);
  }
}

async function measureAll(lab: Lab, { only, scale, repetitions }: Options): Promise<readonly Measured[]> {
  const measured: Measured[] = [];
  const measure = async (name: string, times: number, make: () => Promise<Comparison>) => {
    if (only.length > 0 && !only.includes(name)) return;
    measured.push(await compare(await make(), times, say));
  };
  await measure('retention', 9, async () => retentionComparison());
  await withDaemonComparisons(async (comparisons) => {
    for (const comparison of comparisons) await measure(comparison.name, repetitions, async () => comparison);
  });
  await measure('version', 41, async () => versionComparison());
  await measure('backups', 25, () => backupsComparison(lab));
  if (only.length === 0 || only.includes('backup') || only.includes('restore')) await fill(lab, scale);
  if (only.length === 0 || only.some((name) => name.startsWith('archive'))) await measureArchive(lab, repetitions, measure);
  await measure('backup', 3 * repetitions, async () => backupComparison(lab));
  await measure('restore', repetitions, () => restoreComparison(lab));
  return measured;
}

async function measureArchive(
  lab: Lab,
  repetitions: number,
  measure: (name: string, times: number, make: () => Promise<Comparison>) => Promise<void>,
): Promise<void> {
  const { dataDirectory, port, socketDirectory } = lab.primary;
  const own = (await psql(lab, 'SHOW archive_command')).trim();
  const comparisons = await archiveComparisons({
    ...{ directory: lab.directory, dataDirectory, osUser: lab.osUser },
    connection: [`pg1-port=${port}`, `pg1-socket-path=${socketDirectory}`],
    asOwner: (file, argv) => asOwner(lab, file, argv),
    psql: (statement) => psql(lab, statement),
    pgbench: async (transactions) => {
      const pgbench = join(lab.postgresqlBinDirectory, 'pgbench');
      const connected = [...connection(lab), 'postgres'];
      if ((await psql(lab, "SELECT to_regclass('pgbench_accounts') IS NULL")).trim() === 't')
        await asOwner(lab, pgbench, ['-i', '-q', '-s', '20', ...connected]);
      await asOwner(lab, pgbench, ['-n', '-c', '4', '-t', String(Math.ceil(transactions / 4)), ...connected]);
    },
  });
  for (const comparison of comparisons) {
    const { name } = comparison;
    const isBlock = name.endsWith('p99') || name === 'archive-backlog';
    await measure(name, isBlock ? repetitions : 12 * repetitions, async () => comparison);
  }
  await psql(lab, `ALTER SYSTEM SET archive_command = '${own.replaceAll("'", "''")}'`);
  await psql(lab, 'SELECT pg_reload_conf()');
}

function versionComparison(): Comparison {
  return {
    name: 'version',
    goal: 1.2,
    ours: { what: '`bin/spoke-backup --version`', run: () => seconds(() => run(cli, ['--version'])) },
    bare: { what: '`node -e 0`', run: () => seconds(() => run(process.execPath, ['-e', '0'])) },
  };
}

async function backupsComparison(lab: Lab): Promise<Comparison> {
  await run(cli, ['backup', '--type', 'full']);
  return {
    name: 'backups',
    goal: 1.5,
    ours: { what: '`bin/spoke-backup backups --json`', run: () => seconds(() => run(cli, ['backups', '--json'])) },
    bare: {
      what: '`pgbackrest info --output=json`, then `node -e 0`',
      run: () =>
        seconds(async () => {
          await asOwner(lab, 'pgbackrest', [...pgbackrest(lab), '--output=json', 'info']);
          await run(process.execPath, ['-e', '0']);
        }),
    },
  };
}

function backupComparison(lab: Lab): Comparison {
  return {
    name: 'backup',
    goal: 1.05,
    ours: {
      what: '`bin/spoke-backup backup --type full --repo local`, 1.5 GB of pgbench data',
      run: () => atAnyFraction(() => run(cli, ['backup', '--type', 'full', '--repo', 'local', '--quiet'])),
    },
    bare: {
      what: '`pgbackrest --type=full backup` with the same configuration file',
      run: () => atAnyFraction(() => asOwner(lab, 'pgbackrest', [...pgbackrest(lab), '--repo=1', '--type=full', 'backup'])),
    },
  };
}

/** A backup, then WAL to replay, then a target with a commit after it. */
async function restoreComparison(lab: Lab): Promise<Comparison> {
  await run(cli, ['backup', '--type', 'full', '--quiet']);
  await asOwner(lab, join(lab.postgresqlBinDirectory, 'pgbench'), [...connection(lab), '-n', '-c', '4', '-t', '25000', 'postgres']);
  const target = (await psql(lab, 'SELECT clock_timestamp()')).trim();
  await psql(lab, 'SELECT pg_current_xact_id()');
  await psql(lab, 'SELECT pg_switch_wal()');
  await run(cli, ['setup', 'archiving']);
  return {
    name: 'restore',
    goal: 1.05,
    ours: {
      what: '`bin/spoke-backup restore --to <time>` to a server that accepts writes',
      run: (repetition) => restoreOurs(lab, target, repetition),
    },
    bare: {
      what: '`pgbackrest restore --type=time --target-action=promote`, `pg_ctl start`, and waiting until it accepts writes',
      run: (repetition) => restoreBare(lab, target, repetition),
    },
  };
}

async function restoreOurs(lab: Lab, target: string, repetition: number): Promise<number> {
  const directory = join(lab.directory, 'restored', `ours-${repetition}`);
  await makeParent(lab);
  const took = await seconds(() => run(cli, ['restore', '--to', target, '--data-directory', directory, '--quiet', '--json']));
  await stopAndRemove(lab, directory);
  return took;
}

async function restoreBare(lab: Lab, target: string, repetition: number): Promise<number> {
  const directory = join(lab.directory, 'restored', `bare-${repetition}`);
  await makeParent(lab);
  const took = await seconds(async () => {
    await asOwner(lab, 'mkdir', ['-m', '0700', directory]);
    await asOwner(lab, 'pgbackrest', [
      ...pgbackrest(lab),
      `--pg1-path=${directory}`,
      '--type=time',
      `--target=${target}`,
      '--target-action=promote',
      '--archive-mode=off',
      'restore',
    ]);
    const options = `-c port=${lab.primary.port + 1} -c unix_socket_directories=${lab.directory}/restored -c listen_addresses=''`;
    await asOwner(lab, join(lab.postgresqlBinDirectory, 'pg_ctl'), [
      'start',
      '-w',
      '-t',
      '600',
      '-D',
      directory,
      '-l',
      `${directory}.log`,
      '-o',
      options,
    ]);
    while ((await psqlAt(lab, `${lab.directory}/restored`, lab.primary.port + 1, 'SELECT pg_is_in_recovery()')).trim() !== 'f')
      await new Promise((resolve) => setTimeout(resolve, 50));
  });
  await stopAndRemove(lab, directory);
  return took;
}

async function makeParent(lab: Lab): Promise<void> {
  const parent = join(lab.directory, 'restored');
  mkdirSync(parent, { recursive: true, mode: 0o777 });
  if (process.getuid?.() === 0) await run('chown', [lab.osUser, parent]);
}

async function stopAndRemove(lab: Lab, directory: string): Promise<void> {
  await asOwner(lab, join(lab.postgresqlBinDirectory, 'pg_ctl'), ['stop', '-m', 'immediate', '-D', directory]);
  for (const path of [directory, `${directory}.socket`]) rmSync(path, { recursive: true, force: true });
}

async function fill(lab: Lab, scale: number): Promise<void> {
  say(`filling: pgbench scale ${scale}, about ${(scale * 15) / 1000} GB`);
  await asOwner(lab, join(lab.postgresqlBinDirectory, 'pgbench'), [...connection(lab), '-i', '-q', '-s', String(scale), 'postgres']);
  await psql(lab, 'CHECKPOINT');
}

function pgbackrest(lab: Lab): string[] {
  return [`--config=${lab.stateDirectory}/pgbackrest/lab/pgbackrest.conf`, '--stanza=lab'];
}

function connection(lab: Lab): string[] {
  return ['-h', lab.primary.socketDirectory, '-p', String(lab.primary.port), '-U', 'postgres'];
}

function psql(lab: Lab, statement: string): Promise<string> {
  return psqlAt(lab, lab.primary.socketDirectory, lab.primary.port, statement);
}

async function psqlAt(lab: Lab, host: string, port: number, statement: string): Promise<string> {
  return (
    await asOwner(lab, join(lab.postgresqlBinDirectory, 'psql'), [
      '-h',
      host,
      '-p',
      String(port),
      '-U',
      'postgres',
      '-At',
      '-c',
      statement,
      'postgres',
    ])
  ).stdout;
}

/** As the servers' user, where we are root: setpriv as our own program does it, so that neither side pays for a switch that the other does not. */
function asOwner(lab: Lab, file: string, argv: readonly string[]) {
  return process.getuid?.() === 0
    ? run('setpriv', [`--reuid=${lab.osUser}`, '--regid', lab.osUser, '--init-groups', '--', file, ...argv])
    : run(file, argv);
}

async function run(file: string, argv: readonly string[]): Promise<{ stdout: string }> {
  const { stdout } = await execa(file, [...argv], { cwd: '/', stdin: 'ignore' });
  return { stdout };
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1000;
}

/**
 * Begun at any fraction of a second: pgBackRest waits for the next whole one before it copies, and a run that follows another one at once
 * would always wait as long as its neighbour lets it.
 */
async function atAnyFraction(work: () => Promise<unknown>): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 1000));
  return seconds(work);
}

function readOptions(argv: readonly string[]): Options {
  const value = (name: string) => (argv.includes(name) ? argv[argv.indexOf(name) + 1] : undefined);
  return {
    only: value('--only')?.split(',') ?? [],
    scale: Number(value('--scale') ?? 100),
    repetitions: Number(value('--repetitions') ?? 7),
  };
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

await main();
