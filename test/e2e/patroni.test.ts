import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PatroniSettings } from '../../src/workflows/patroni/setup.ts';
import { decideReseedByPatroni } from '../../src/workflows/patroni/decide.ts';
import { observeForPatroni } from '../../src/workflows/patroni/facts.ts';
import { planByPatroni } from '../../src/workflows/patroni/plan.ts';
import { pauseStep } from '../../src/workflows/patroni/steps.ts';
import { until } from '../harness/lab.ts';
import { type Front, putInFront, readEndpoints } from './support/front.ts';
import { interruptAt } from './support/kill.ts';
import { PatroniLab } from './support/patroni-lab.ts';
import { Writer } from './support/writer.ts';

interface Status {
  readonly primary: string | null;
  readonly nodes: readonly { readonly name: string; readonly role: string; readonly timeline?: number }[];
  readonly patroni: {
    readonly leader: string | null;
    readonly paused: boolean;
    readonly storeFault: string | null;
    readonly members: readonly {
      readonly name: string;
      readonly role: string;
      readonly timeline: number;
      readonly lagBytes: number | null;
    }[];
  };
}

interface Diagnosis {
  readonly findings: readonly { readonly code: string; readonly node?: string; readonly message: string }[];
}

interface Printed {
  readonly dynamic: PatroniSettings & { readonly postgresql: { readonly parameters: Readonly<Record<string, unknown>> } };
  readonly missing: readonly string[] | null;
  readonly members: Readonly<Record<string, { readonly postgresql: Readonly<Record<string, unknown>> }>>;
}

interface Change {
  readonly run: string;
  readonly primary: string;
  readonly timeline: number;
  readonly writeOutageSeconds: number;
  readonly backup: { readonly labels: readonly string[] } | null;
}

const context = { signal: new AbortController().signal };
/** On from the start, since a restart of every server takes long. */
const ARCHIVING_NOWHERE = { archive_mode: 'on', archive_command: '/bin/false' };

describe('a cluster that Patroni manages', () => {
  let lab: PatroniLab;
  let writer: Writer;
  let opened: { lab?: PatroniLab; front?: Front; writer?: Writer } = {};
  beforeAll(async () => {
    opened.lab = lab = await PatroniLab.start({ members: 2, parameters: ARCHIVING_NOWHERE });
    opened.front = await putInFront(lab);
    await lab.sql('node-1', 'CREATE TABLE acknowledged (n bigint PRIMARY KEY)');
    const { port, password } = opened.front;
    opened.writer = writer = new Writer(`postgresql://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/app`);
  }, 120_000);
  afterAll(async () => {
    const written = opened.writer?.stop();
    await opened.front?.bouncer.stop();
    await written;
    await opened.lab?.stop();
    opened = {};
  }, 60_000);

  const status = async () => (await lab.run('status')).document as Status;
  const codes = async () => ((await lab.run('doctor')).document as Diagnosis).findings.map(({ code }) => code);
  const expectNothingLost = async (node: string) => {
    const acknowledged = writer.acknowledged.map(({ n }) => n);
    const present = new Set((await lab.sql<{ n: string }>(node, 'SELECT n FROM acknowledged')).map(({ n }) => Number(n)));
    expect(acknowledged.filter((n) => !present.has(n))).toEqual([]);
  };
  const expectClientsAt = async (node: string) => {
    expect(await readEndpoints(lab)).toContain(`SPOKE_POSTGRES_URL=postgresql://127.0.0.1:${lab.cluster.node(node).port}/`);
    const databases = await opened.front?.bouncer.show('DATABASES');
    expect(databases?.find(({ name }) => name === 'app')).toMatchObject({ port: lab.cluster.node(node).port, paused: 0 });
  };

  test('is seen through it and by the servers themselves, which say the same', async () => {
    const seen = await status();
    expect(seen.primary).toBe('node-1');
    expect(seen.nodes.map(({ name, role }) => [name, role])).toEqual([
      ['node-1', 'primary'],
      ['node-2', 'standby'],
    ]);
    expect(seen.patroni).toMatchObject({ leader: 'node-1', paused: false, storeFault: null });
    expect(seen.patroni.members.map(({ name, role, timeline }) => [name, role, timeline])).toEqual([
      ['node-1', 'leader', 1],
      ['node-2', 'replica', 1],
    ]);
    expect((await codes()).filter((code) => code.startsWith('patroni-'))).toEqual([]);
  });

  test('is not set up beside it', async () => {
    for (const what of [['primary'], ['replica', 'node-2']])
      expect(await lab.error('setup', ...what)).toMatchObject({
        code: 'REFUSED_PRECONDITION',
        hint: expect.stringContaining('setup patroni'),
      });
    expect(await lab.run('setup', 'archiving')).toMatchObject({ exitCode: 3, document: { isProven: false } });
    expect(await lab.sql('node-1', 'SHOW archive_command')).toEqual(
      [ARCHIVING_NOWHERE].map(({ archive_command }) => ({ archive_command })),
    );
  });

  test('archives once Patroni has been told what is printed', async () => {
    const printed = await lab.json<Printed>('setup', 'patroni');
    expect(printed.missing).toContain('postgresql.parameters.archive_command');
    const parameters = { ...printed.dynamic.postgresql.parameters, superuser_reserved_connections: 4 };
    await lab.cluster.editConfiguration({ postgresql: { ...printed.dynamic.postgresql, parameters } });
    await lab.cluster.configureMembers((name) => printed.members[name]?.postgresql ?? {});
    await until('Patroni says that a restart is pending', async () => (await codes()).includes('patroni-pending-restart'));
    expect((await lab.json<Printed>('setup', 'patroni')).missing).toEqual([]);
    expect(await lab.json('setup', 'archiving')).toMatchObject({ isProven: true });
  });

  test('hands over by Patroni without a client noticing, and backups follow the leader', async () => {
    expect(await lab.error('switchover', '--to', 'node-2')).toMatchObject({ code: 'CONFIRMATION_REQUIRED' });
    writer.start();
    await writer.more(20);
    const done = await lab.json<Change>('switchover', '--to', 'node-2', '--confirm', 'lab');
    expect(done).toMatchObject({ primary: 'node-2', timeline: 2, failures: [], backup: { labels: [expect.any(String)] } });
    expect(done.writeOutageSeconds).toBeGreaterThan(0);
    console.log(`write outage of a switchover by Patroni behind PgBouncer: ${done.writeOutageSeconds.toFixed(2)} s`);
    await writer.more(20);
    expect(writer.faults).toEqual([]);
    await expectNothingLost('node-2');
    await expectClientsAt('node-2');
    expect(await lab.error('switchover', '--to', 'node-2', '--confirm', 'lab')).toMatchObject({ code: 'REFUSED_PRECONDITION' });
  });

  test('hands over once where this program is killed while it asks, and goes on where it was', async () => {
    const argv = ['switchover', '--to', 'node-1', '--confirm', 'lab', '--no-backup'];
    const { run, exitCode } = await interruptAt(lab, argv, { step: 'switch-leader', delayMs: 100 });
    expect(exitCode).toBe(null);
    expect(await lab.json<Change>('runs', 'resume')).toMatchObject({ run, primary: 'node-1', timeline: 3, failures: [] });
    await writer.more(20);
    expect(writer.faults).toEqual([]);
    await expectNothingLost('node-1');
    await expectClientsAt('node-1');
  });

  test('has clients go on with the leader where this program is killed before it asks, and the run is given up', async () => {
    const argv = ['switchover', '--to', 'node-2', '--confirm', 'lab', '--no-backup'];
    const { run } = await interruptAt(lab, argv, { step: 'pause-pgbouncer front' });
    await lab.json('runs', 'cancel', run);
    await writer.more(20);
    await writer.stop();
    expect(writer.faults).toEqual([]);
    await expectNothingLost('node-1');
    await expectClientsAt('node-1');
  });

  test('is restored in place under maintenance mode, and looked after again with the restored leader', async () => {
    await lab.sql('node-1', 'CREATE TABLE kept (n int)');
    await lab.sql('node-1', 'INSERT INTO kept VALUES (1), (2)');
    const [{ before } = { before: '' }] = await lab.sql<{ before: string }>('node-1', 'SELECT clock_timestamp()::text AS before');
    await lab.sql('node-1', 'DELETE FROM kept');
    expect(await lab.error('restore', '--to', before, '--in-place', 'node-2', '--confirm', 'lab')).toMatchObject({
      code: 'REFUSED_PRECONDITION',
    });
    const restored = await lab.json<{ run: string }>('restore', '--to', before, '--in-place', 'node-1', '--confirm', 'lab');
    expect(await lab.sql('node-1', 'SELECT n FROM kept ORDER BY n')).toEqual([{ n: 1 }, { n: 2 }]);
    expect(await status()).toMatchObject({ primary: 'node-1', patroni: { leader: 'node-1', paused: false } });
    const { journal } = await lab.json<{ journal: readonly { kind: string; step?: string }[] }>('runs', 'show', restored.run);
    const finished = journal.filter(({ kind }) => kind === 'step-finished').map(({ step }) => step);
    const order = ['pause-patroni', 'stop-server', 'swap-data-directory', 'start-restored', 'confirm-restored', 'resume-patroni'];
    expect(finished.filter((step) => order.includes(step ?? ''))).toEqual(order);
    // Started by Patroni: by its parameters, which it gives on the command line.
    const sources = `SELECT source FROM pg_settings WHERE name = 'superuser_reserved_connections' AND setting = '4'`;
    expect(await lab.sql('node-1', `SELECT count(*)::int AS n FROM (${sources}) AS found`)).toEqual([{ n: 1 }]);
  });

  test('has a standby made anew by Patroni, of a backup, and never the leader', async () => {
    // A backup of what was replaced must not be what its standbys are made of.
    await lab.json('backup', '--type', 'full');
    expect(await lab.error('reseed', 'node-1', '--confirm', 'lab')).toMatchObject({ code: 'REFUSED_PRECONDITION' });
    expect(await lab.error('reseed', 'node-2', '--method', 'rewind', '--confirm', 'lab')).toMatchObject({ code: 'USAGE' });
    const { config, ports } = await lab.compose();
    const intent = decideReseedByPatroni(config, 'node-2', await observeForPatroni(config, ports, context));
    expect(await lab.json('reseed', 'node-2', '--confirm', 'lab')).toMatchObject({ node: 'node-2', streaming: { leader: 'node-1' } });
    expect(lab.cluster.logOf('node-2')).toContain('replica has been created using pgbackrest');
    expect(
      await lab.sql('node-2', `SELECT setting LIKE '%archive-get%' AS archive FROM pg_settings WHERE name = 'restore_command'`),
    ).toEqual([{ archive: true }]);
    expect(await lab.sql('node-2', 'SELECT count(*)::int AS n FROM kept')).toEqual([{ n: 2 }]);
    // Done by whoever: it is not thrown away once more.
    expect(planByPatroni(intent, await observeForPatroni(config, ports, context)).steps.map(({ kind }) => kind)).toEqual(['await-member']);
  });

  test('fails over by Patroni where that is paused and does nothing by itself', async () => {
    expect(await lab.error('failover', '--confirm', 'lab')).toMatchObject({ code: 'REFUSED_PRECONDITION' });
    await lab.carryOut({ steps: [pauseStep('a test')], warnings: [] });
    await lab.cluster.crashServer('node-1');
    await until('Patroni has no leader', async () => (await codes()).includes('patroni-no-leader'));
    expect(await codes()).toContain('patroni-paused');
    expect(await lab.json<Change>('failover', '--confirm', 'lab', '--no-backup')).toMatchObject({
      primary: 'node-2',
      oldPrimary: null,
      failures: [],
    });
    expect(await lab.sql('node-2', 'SELECT count(*)::int AS n FROM kept')).toEqual([{ n: 2 }]);
    await expectClientsAt('node-2');
  });

  test('is told apart from one whose configuration store is away', async () => {
    await lab.cluster.stopEtcd();
    expect(await codes()).toContain('patroni-store-away');
  });
});
