import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { REPLICATION_RIGHTS } from '../src/domain/setup/roles.ts';
import { REPLICATION_ROLE } from '../src/lab/layout.ts';
import type { Comparison } from './compare.ts';
import { asOwner, cli, fill, type Lab, psql, run, say } from './lab.ts';

interface Standby {
  readonly name: string;
  readonly dataDirectory: string;
  readonly port: number;
  readonly socketDirectory: string;
}

type ReseedLab = Lab & { readonly standbys: readonly Standby[]; readonly passwordFile: string };

/** Of pgbench, 3.75 GB: large enough that pg_wal, which pg_rewind copies whole, is the small share that it is of a cluster worth rewinding. */
const SCALE = 250;
const MEBIBYTE = 1024 * 1024;
/** pgbench_accounts has 61 rows a page: one row of each hundredth page. */
const ROWS_IN_A_HUNDRED_PAGES = 6100;
/** Of what the measuring itself says over the loopback interface, far less than a mebibyte. */
const COUNTERS = '/proc/net/dev';

/** A lab of its own: the standby is a primary each time, and what it archives then stays in the repository. */
export async function measureReseed(
  repetitions: number,
  measure: (name: string, times: number, make: () => Promise<Comparison>) => Promise<void>,
): Promise<void> {
  const lab = JSON.parse((await run(cli, ['lab', 'up', '--nodes', '2', '--no-s3', '--json'])).stdout) as ReseedLab;
  const [standby] = lab.standbys;
  const before = process.env['SPOKE_BACKUP_CONFIG'];
  try {
    if (standby === undefined) throw new Error('the lab has no standby');
    process.env['SPOKE_BACKUP_CONFIG'] = lab.config;
    // pg_rewind copies all of pg_wal. By default that holds a gigabyte, as much as the data: here it has the share that it has of a large cluster.
    for (const [name, value] of [
      ['max_wal_size', '64MB'],
      ['min_wal_size', '32MB'],
    ])
      await psql(lab, `ALTER SYSTEM SET ${name} = '${value}'`);
    await psql(lab, 'SELECT pg_reload_conf()');
    await fill(lab, SCALE);
    for (const signature of REPLICATION_RIGHTS.mayExecute) await psql(lab, `GRANT EXECUTE ON FUNCTION ${signature} TO ${REPLICATION_ROLE}`);
    await measure('reseed-bytes', repetitions, () => Promise.resolve(bytesComparison(lab, standby)));
  } finally {
    if (before !== undefined) process.env['SPOKE_BACKUP_CONFIG'] = before;
    await run(cli, ['lab', 'down', '--dir', lab.directory]);
  }
}

/** What comes over the loopback interface, by which both reach the primary: data, WAL and protocol, in one direction. */
function bytesComparison(lab: ReseedLab, standby: Standby): Comparison {
  return {
    name: 'reseed-bytes',
    unit: 'MiB',
    goal: 0.1,
    ours: {
      what: 'spoke-backup reseed (auto), until it streams, after it was a primary and changed 1 % of the pages',
      run: async () => {
        await diverge(lab, standby);
        return received(async () => {
          const { stdout } = await run(cli, ['reseed', standby.name, '--confirm', 'lab', '--quiet', '--json']);
          say(`  by ${(JSON.parse(stdout) as { readonly method: string }).method}`);
        });
      },
    },
    bare: { what: 'pg_basebackup of the same primary', run: () => received(() => copy(lab)) },
  };
}

/** The standby is a primary for a while; the real one goes on, too. */
async function diverge(lab: ReseedLab, standby: Standby): Promise<void> {
  const onStandby = { ...lab, primary: standby };
  await psql(onStandby, 'SELECT pg_promote(true, 60)');
  const change = `UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid % ${ROWS_IN_A_HUNDRED_PAGES} = 0`;
  await psql(onStandby, change);
  await psql(lab, change);
  await asOwner(lab, join(lab.postgresqlBinDirectory, 'pg_ctl'), [
    'stop',
    '--silent',
    '--mode=fast',
    '--timeout=600',
    `--pgdata=${standby.dataDirectory}`,
  ]);
}

async function copy(lab: ReseedLab): Promise<void> {
  const directory = `${lab.primary.dataDirectory}.copy`;
  const server = `host=127.0.0.1 port=${lab.primary.port} user=${REPLICATION_ROLE} passfile=${lab.passwordFile}`;
  const program = join(lab.postgresqlBinDirectory, 'pg_basebackup');
  await asOwner(lab, program, [`--pgdata=${directory}`, `--dbname=${server}`, '--wal-method=stream', '--checkpoint=fast', '--no-password']);
  rmSync(directory, { recursive: true });
}

async function received(work: () => Promise<void>): Promise<number> {
  const before = receivedBytes();
  await work();
  return (receivedBytes() - before) / MEBIBYTE;
}

function receivedBytes(): number {
  const found = /^\s*lo:\s*(\d+)/m.exec(readFileSync(COUNTERS, 'utf8'))?.[1];
  if (found === undefined) throw new Error(`${COUNTERS} has no loopback interface`);
  return Number(found);
}
