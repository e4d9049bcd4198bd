import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { parseDocument } from 'yaml';
import type { Comparison } from './compare.ts';
import { asOwner, atAnyFraction, cli, connection, fill, type Lab, pgbackrest, psql, restoreBare, restoreOurs, run, say } from './lab.ts';

/** Incompressible; as much as pgbench's own tables take. */
const RANDOM_ROWS = 700_000;
const RANDOM_ROW_BYTES = 2_000;
/** Enough that every buffer is in use, and three times as much; the lab's bucket has room for three of each, and their WAL. */
const FEW_ROWS = 150_000;
const MANY_ROWS = 3 * FEW_ROWS;
const RSS_POLL_MS = 20;

export interface NativeParts {
  readonly scale: number;
  readonly repetitions: number;
  measure(name: string, times: number, make: () => Promise<Comparison>): Promise<void>;
}

/** The native engine beside the bare tools, on one database, in labs of its own. */
export async function measureNative({ scale, repetitions, measure }: NativeParts): Promise<void> {
  await withLab(['--engine', 'both', '--no-s3'], async (lab) => {
    await fill(lab, scale);
    await measureBackups(lab, 'pgbench', repetitions, measure);
    await measure('native-restore', repetitions, () => restoreComparison(lab));
    await fillRandomly(lab);
    await measureBackups(lab, 'random', repetitions, measure);
  });
  await withLab(['--engine', 'native'], (lab) => measure('native-backup-memory', 3, async () => memoryComparison(lab)));
}

async function withLab(argv: readonly string[], use: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = JSON.parse((await run(cli, ['lab', 'up', '--nodes', '1', ...argv, '--json'])).stdout) as Lab;
  const before = process.env['SPOKE_BACKUP_CONFIG'];
  try {
    process.env['SPOKE_BACKUP_CONFIG'] = lab.config;
    const document = parseDocument(readFileSync(lab.config, 'utf8'));
    document.setIn(['clusters', 'lab', 'native', 'compressType'], 'lz4');
    writeFileSync(lab.config, document.toString());
    await run(cli, ['setup', 'archiving', '--confirm', 'lab']);
    await use(lab);
  } finally {
    process.env['SPOKE_BACKUP_CONFIG'] = before;
    await run(cli, ['lab', 'down', '--dir', lab.directory]);
  }
}

async function measureBackups(lab: Lab, data: 'pgbench' | 'random', repetitions: number, measure: NativeParts['measure']): Promise<void> {
  const what = data === 'pgbench' ? 'pgbench data' : 'incompressible data';
  const ours = {
    what: `\`bin/spoke-backup backup --type full\` by the native engine, lz4, into a local repository, ${what}`,
    run: () => oneBackup(lab, () => run(cli, ['backup', '--type', 'full', '--repo', 'native-local', '--quiet'])),
  };
  await measure(`native-backup-${data}`, repetitions, async () => ({
    ...{ name: `native-backup-${data}`, goal: 0.8, ours },
    bare: {
      what: '`pgbackrest --type=full --compress-type=lz4 --process-max=2 backup`',
      run: () => oneBackup(lab, () => asOwner(lab, 'pgbackrest', [...pgbackrestBackup(lab)])),
    },
  }));
  await measure(`native-basebackup-${data}`, repetitions, async () => ({
    ...{ name: `native-basebackup-${data}`, goal: 1.5, ours },
    bare: {
      what: '`pg_basebackup --format=tar --compress=server-lz4 --wal-method=none --checkpoint=fast`, which syncs what it wrote',
      run: () => oneBackup(lab, () => baseBackup(lab)),
    },
  }));
}

/** Both engines archive all along, and pay for it alike. What was taken goes, so that the disk holds one. */
async function oneBackup(lab: Lab, take: () => Promise<unknown>): Promise<number> {
  await psql(lab, 'CHECKPOINT');
  const took = await atAnyFraction(take);
  rmSync(join(lab.directory, 'repository/native/lab/backups'), { recursive: true, force: true });
  rmSync(baseBackupDirectory(lab), { recursive: true, force: true });
  return took;
}

function pgbackrestBackup(lab: Lab): readonly string[] {
  return [...pgbackrest(lab), '--repo=1', '--type=full', '--compress-type=lz4', '--process-max=2', '--repo1-retention-full=1', 'backup'];
}

function baseBackupDirectory(lab: Lab): string {
  return join(lab.directory, 'repository/basebackup');
}

function baseBackup(lab: Lab): Promise<unknown> {
  const argv = ['--format=tar', '--compress=server-lz4', '--wal-method=none', '--checkpoint=fast', `--pgdata=${baseBackupDirectory(lab)}`];
  return asOwner(lab, join(lab.postgresqlBinDirectory, 'pg_basebackup'), [...connection(lab), ...argv]);
}

/** A backup of each, then WAL to replay, then a target with a commit after it. */
async function restoreComparison(lab: Lab): Promise<Comparison> {
  await run(cli, ['backup', '--type', 'full', '--quiet']);
  await asOwner(lab, join(lab.postgresqlBinDirectory, 'pgbench'), [...connection(lab), '-n', '-c', '4', '-t', '25000', 'postgres']);
  const target = (await psql(lab, 'SELECT clock_timestamp()')).trim();
  await psql(lab, 'SELECT pg_current_xact_id()');
  await psql(lab, 'SELECT pg_switch_wal()');
  await run(cli, ['setup', 'archiving']);
  return {
    name: 'native-restore',
    goal: 1.05,
    ours: {
      what: '`bin/spoke-backup restore --to <time>` from a local native repository to a server that accepts writes, pgbench data',
      run: (repetition) => restoreOurs(lab, target, repetition, '--repo', 'native-local'),
    },
    bare: {
      what: '`pgbackrest restore --type=time --target-action=promote`, `pg_ctl start`, and waiting until it accepts writes',
      run: (repetition) => restoreBare(lab, target, repetition),
    },
  };
}

async function fillRandomly(lab: Lab, rows = RANDOM_ROWS): Promise<void> {
  say(`filling: ${gigabytes(rows)} GB that nothing compresses`);
  await psql(lab, 'DROP TABLE IF EXISTS pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers, noise');
  await psql(lab, 'CREATE EXTENSION IF NOT EXISTS pgcrypto');
  await psql(lab, 'CREATE TABLE noise (bytes bytea)');
  await psql(lab, 'ALTER TABLE noise ALTER bytes SET STORAGE PLAIN');
  const half = RANDOM_ROW_BYTES / 2;
  await psql(lab, `INSERT INTO noise SELECT gen_random_bytes(${half}) || gen_random_bytes(${half}) FROM generate_series(1, ${rows})`);
  // Comes back when all of its WAL is archived.
  await run(cli, ['setup', 'archiving']);
  await psql(lab, 'CHECKPOINT');
}

function gigabytes(rows: number): number {
  return (rows * RANDOM_ROW_BYTES) / 1e9;
}

/** The most memory that our own process ever holds while a backup goes into two repositories. */
function memoryComparison(lab: Lab): Comparison {
  const peak = async (rows: number) => {
    await fillRandomly(lab, rows);
    return peakRssMebibytes(['backup', '--type', 'full', '--quiet']);
  };
  const what = 'the most resident memory of a native backup into a local repository and a bucket at once, of';
  return {
    ...{ name: 'native-backup-memory', goal: 1.15, unit: 'MiB' },
    ours: { what: `${what} ${gigabytes(MANY_ROWS)} GB that nothing compresses, while its WAL is shipped`, run: () => peak(MANY_ROWS) },
    bare: { what: `that of ${gigabytes(FEW_ROWS)} GB`, run: () => peak(FEW_ROWS) },
  };
}

async function peakRssMebibytes(argv: readonly string[]): Promise<number> {
  let kibibytes = 0;
  const child = execa(cli, [...argv], { cwd: '/', stdin: 'ignore' });
  const timer = setInterval(() => {
    kibibytes = Math.max(kibibytes, highWaterMarkOf(child.pid ?? 0));
  }, RSS_POLL_MS);
  try {
    await child;
  } finally {
    clearInterval(timer);
  }
  return kibibytes / 1024;
}

/** bin/spoke-backup becomes the program itself: no shell stays between. */
function highWaterMarkOf(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
