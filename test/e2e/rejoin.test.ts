import { watch } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { closedVersionText } from '../../src/domain/postgres/version-file.ts';
import { REPLICATION_RIGHTS } from '../../src/domain/setup/roles.ts';
import { REPLICATION_ROLE } from '../../src/lab/layout.ts';
import { type Lab, querySocket, until, useLab } from '../harness/lab.ts';

/** An old primary comes back after a crash and a failover, on real servers. */
const theLab = useLab({ nodes: 3, s3: false, impatient: true });
const ONE_AT_A_TIME = { timeout: 240_000 };

interface Rejoined {
  readonly run: string | null;
  readonly primary: string;
  readonly method?: string;
  readonly timeline?: number;
  readonly streaming?: { readonly timeline: number };
}

const rejoin = (...options: string[]) => theLab().json<Rejoined>('rejoin', ...options, '--confirm', 'lab');

async function crash(lab: Lab, dataDirectory: string): Promise<void> {
  const [pid] = (await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8')).split('\n');
  process.kill(Number(pid), 'SIGKILL');
  await until('the server is gone', async () => !(await lab.isRunning(dataDirectory)));
}

async function primaryOf(lab: Lab) {
  for (const node of [lab.primary, ...lab.description.standbys]) {
    if (!(await lab.isRunning(node.dataDirectory))) continue;
    const [row] = await querySocket<{ standby: boolean }>(node, 'SELECT pg_is_in_recovery() AS standby');
    if (row?.standby === false) return node;
  }
  throw new Error('there is no primary');
}

/** What is committed on the primary from now on arrives on that node. */
async function expectFollows(lab: Lab, name: string, table: string): Promise<void> {
  const primary = await primaryOf(lab);
  await querySocket(primary, `CREATE TABLE ${table} AS SELECT 1 AS one`);
  await until(`${table} is on ${name}`, async () => {
    const [row] = await querySocket<{ name: string | null }>(lab.node(name), `SELECT to_regclass('${table}')::text AS name`);
    return row?.name === table;
  });
  const slot = name.replaceAll('-', '_');
  const slots = await querySocket(primary, `SELECT active, wal_status FROM pg_replication_slots WHERE slot_name = '${slot}'`);
  expect(slots).toEqual([{ active: true, wal_status: 'reserved' }]);
  expect(await querySocket(lab.node(name), 'SELECT slot_name FROM pg_replication_slots')).toEqual([]);
}

beforeAll(async () => {
  const lab = theLab();
  await lab.backup('full');
  for (const signature of REPLICATION_RIGHTS.mayExecute)
    await querySocket(lab.primary, `GRANT EXECUTE ON FUNCTION ${signature} TO ${REPLICATION_ROLE}`);
}, 120_000);

test('the primary itself and a standby that streams are left alone', ONE_AT_A_TIME, async () => {
  const lab = theLab();
  expect(await lab.error('rejoin', 'primary-1', '--confirm', 'lab')).toMatchObject({
    code: 'REFUSED_PRECONDITION',
    exitCode: 12,
    hint: expect.stringContaining('switchover'),
  });
  expect(await rejoin('replica-1')).toMatchObject({ run: null, primary: 'primary-1', timeline: 1 });
});

test('a primary that was killed is rewound after the failover and streams on the new timeline', ONE_AT_A_TIME, async () => {
  const lab = theLab();
  await lab.stop(lab.node('replica-1').dataDirectory);
  await lab.stop(lab.node('replica-2').dataDirectory);
  // Nobody but the old primary ever has these.
  await querySocket(lab.primary, 'CREATE TABLE of_nobody AS SELECT generate_series(1, 1000) AS n');
  await querySocket(lab.primary, 'CHECKPOINT');
  await querySocket(lab.primary, 'CREATE TABLE of_nobody_either AS SELECT generate_series(1, 1000) AS n');
  await crash(lab, lab.primary.dataDirectory);
  await lab.start(lab.node('replica-1').dataDirectory);
  await lab.start(lab.node('replica-2').dataDirectory);
  await lab.json('failover', '--confirm', 'lab', '--no-backup');
  expect(await lab.error('rejoin', (await primaryOf(lab)).name, '--confirm', 'lab')).toMatchObject({ exitCode: 12 });

  const dry = await lab.json<{ plan: { steps: readonly { kind: string }[] } }>('rejoin', 'primary-1', '--dry-run');
  expect(dry.plan.steps.map(({ kind }) => kind)).toContain('rewind-standby');
  expect(await lab.isRunning(lab.primary.dataDirectory)).toBe(false);

  // pg_rewind leaves this file alone: whoever writes to it closes it, and opens it again by a rename.
  const seen: string[] = [];
  const watcher = watch(lab.primary.dataDirectory, (event, name) => {
    if (name === 'PG_VERSION') seen.push(event);
  });
  expect(await rejoin('primary-1')).toMatchObject({ method: 'rewind', streaming: { timeline: 2 } });
  watcher.close();
  expect([seen.at(0), seen.at(-1)]).toEqual(['change', 'rename']);
  const lost = "SELECT to_regclass('of_nobody')::text AS one, to_regclass('of_nobody_either')::text AS other";
  expect(await querySocket(lab.primary, lost)).toEqual([{ one: null, other: null }]);
  await expectFollows(lab, 'primary-1', 'after_rejoin');
  expect(await readFile(join(lab.primary.dataDirectory, 'postgresql.auto.conf'), 'utf8')).not.toContain('superuser_reserved_connections');
  expect(await readFile(join(lab.primary.dataDirectory, 'PG_VERSION'), 'utf8')).toMatch(/^\d+\n$/);
  expect(await rejoin('primary-1')).toMatchObject({ run: null, timeline: 2 });
});

test('a second primary that runs is refused with the command that stops it, and rejoins once it is stopped', ONE_AT_A_TIME, async () => {
  const lab = theLab();
  await querySocket(lab.primary, 'SELECT pg_promote(true, 30)');
  const error = await lab.error('rejoin', 'primary-1', '--confirm', 'lab');
  expect(error).toMatchObject({ code: 'REFUSED_PRECONDITION', exitCode: 12, message: expect.stringContaining('second primary') });
  expect(await querySocket(lab.primary, 'SELECT pg_is_in_recovery() AS standby')).toEqual([{ standby: false }]);
  await lab.stop(lab.primary.dataDirectory);
  expect(await rejoin('primary-1')).toMatchObject({ method: 'rewind', streaming: { timeline: 2 } });
  await expectFollows(lab, 'primary-1', 'after_second_rejoin');
});

test('PostgreSQL does not start on a directory that is closed while it is rewound', ONE_AT_A_TIME, async () => {
  const lab = theLab();
  const { dataDirectory } = lab.node('replica-2');
  await lab.stop(dataDirectory);
  await expect(lab.start(dataDirectory, undefined, { superuser_reserved_connections: '262143' })).rejects.toThrow();
  expect(await readFile(join(dataDirectory, 'started.log'), 'utf8')).toMatch(
    /superuser_reserved_connections\b.*must be less than "?max_connections/,
  );
  const version = join(dataDirectory, 'PG_VERSION');
  const before = await readFile(version, 'utf8');
  await writeFile(version, closedVersionText(Number(before)));
  await expect(lab.start(dataDirectory)).rejects.toThrow();
  expect(await readFile(join(dataDirectory, 'started.log'), 'utf8')).toMatch(/PG_VERSION" does not contain valid data/);
  await writeFile(version, before);
  await lab.start(dataDirectory);
});
