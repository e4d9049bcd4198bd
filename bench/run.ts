import { join } from 'node:path';
import { archiveComparisons } from './archive.ts';
import { compare, type Comparison, type Measured } from './compare.ts';
import { withDaemonComparisons } from './daemon.ts';
import {
  asOwner,
  atAnyFraction,
  cli,
  connection,
  fill,
  type Lab,
  pgbackrest,
  psql,
  restoreBare,
  restoreOurs,
  run,
  say,
  seconds,
} from './lab.ts';
import { measureNative } from './native.ts';
import { measureReseed } from './reseed.ts';
import { retentionComparison, windowComparison } from './large-repository.ts';
import { describeMachine, readResults, writeResults } from './report.ts';

const results = join(import.meta.dirname, 'results');

interface Options {
  readonly only: readonly string[];
  readonly scale: number;
  readonly repetitions: number;
}

/** `npm run bench -- [--only backup,restore,version,backups,retention,window,daemon-memory,daemon-idle-cpu,daemon-growth-cpu,daemon-growth-memory,archive-random-cp,…,native-backup-pgbench,…,reseed-bytes] [--scale 100] [--repetitions 7]` */
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
  await measure('window', 9, async () => windowComparison());
  await withDaemonComparisons(async (comparisons) => {
    for (const comparison of comparisons) await measure(comparison.name, repetitions, async () => comparison);
  });
  await measure('version', 41, async () => versionComparison());
  await measure('backups', 25, () => backupsComparison(lab));
  if (only.length === 0 || only.includes('backup') || only.includes('restore')) await fill(lab, scale);
  if (only.length === 0 || only.some((name) => name.startsWith('archive'))) await measureArchive(lab, repetitions, measure);
  await measure('backup', 3 * repetitions, async () => backupComparison(lab));
  await measure('restore', repetitions, () => restoreComparison(lab));
  if (only.length === 0 || only.some((name) => name.startsWith('native'))) await measureNative({ scale, repetitions, measure });
  if (only.length === 0 || only.some((name) => name.startsWith('reseed'))) await measureReseed(repetitions, measure);
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

function readOptions(argv: readonly string[]): Options {
  const value = (name: string) => (argv.includes(name) ? argv[argv.indexOf(name) + 1] : undefined);
  return {
    only: value('--only')?.split(',') ?? [],
    scale: Number(value('--scale') ?? 100),
    repetitions: Number(value('--repetitions') ?? 7),
  };
}

await main();
