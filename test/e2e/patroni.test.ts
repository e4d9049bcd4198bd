import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PatroniSettings } from '../../src/workflows/patroni/setup.ts';
import { decideReseedByPatroni } from '../../src/workflows/patroni/decide.ts';
import { observeForPatroni } from '../../src/workflows/patroni/facts.ts';
import { planByPatroni } from '../../src/workflows/patroni/plan.ts';
import { pauseStep, resumeStep } from '../../src/workflows/patroni/steps.ts';
import { until } from '../harness/lab.ts';
import { writeOutageDuring } from '../harness/write-outage.ts';
import { PatroniLab } from './support/patroni-lab.ts';

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
  readonly dynamic: PatroniSettings;
  readonly missing: readonly string[] | null;
  readonly members: Readonly<Record<string, { readonly postgresql: Readonly<Record<string, unknown>> }>>;
}

const context = { signal: new AbortController().signal };

describe('a cluster that Patroni manages', () => {
  let lab: PatroniLab;
  let opened: PatroniLab | undefined;
  beforeAll(async () => {
    lab = opened = await PatroniLab.start();
  }, 120_000);
  afterAll(() => opened?.stop());

  const status = async () => (await lab.run('status')).document as Status;
  const codes = async () => ((await lab.run('doctor')).document as Diagnosis).findings.map(({ code }) => code);
  const look = async () => {
    const { config, ports } = await lab.compose();
    return { config, facts: await observeForPatroni(config, ports, context) };
  };

  test('is seen through it and by the servers themselves, which say the same', async () => {
    const seen = await status();
    expect(seen.primary).toBe('node-1');
    expect(seen.nodes.map(({ name, role }) => [name, role])).toEqual([
      ['node-1', 'primary'],
      ['node-2', 'standby'],
      ['node-3', 'standby'],
    ]);
    expect(seen.patroni).toMatchObject({ leader: 'node-1', paused: false, storeFault: null });
    expect(seen.patroni.members.map(({ name, role, timeline }) => [name, role, timeline])).toEqual([
      ['node-1', 'leader', 1],
      ['node-2', 'replica', 1],
      ['node-3', 'replica', 1],
    ]);
    expect((await codes()).filter((code) => code.startsWith('patroni-'))).toEqual([]);
  });

  test('is not set up beside it', async () => {
    for (const what of [['primary'], ['replica', 'node-2']])
      expect(await lab.error('setup', ...what)).toMatchObject({
        code: 'REFUSED_PRECONDITION',
        hint: expect.stringContaining('setup patroni'),
      });
    const before = await lab.run('setup', 'archiving');
    expect(before).toMatchObject({ exitCode: 3, document: { isProven: false } });
    expect(await lab.sql('node-1', 'SHOW archive_mode')).toEqual([{ archive_mode: 'off' }]);
  });

  test('archives once Patroni has been told what is printed, and has restarted', async () => {
    const printed = await lab.json<Printed>('setup', 'patroni');
    expect(printed.missing).toContain('postgresql.parameters.archive_mode');
    expect(await lab.sql('node-1', 'SHOW archive_mode')).toEqual([{ archive_mode: 'off' }]);
    await lab.cluster.editConfiguration(printed.dynamic);
    await lab.cluster.configureMembers((name) => printed.members[name]?.postgresql ?? {});
    await until('Patroni says that a restart is pending', async () => (await codes()).includes('patroni-pending-restart'));
    await lab.cluster.restartServers();
    expect((await lab.json<Printed>('setup', 'patroni')).missing).toEqual([]);
    expect(await lab.json('setup', 'archiving')).toMatchObject({ isProven: true });
    expect(await lab.json('backup', '--type', 'full')).toMatchObject({ backups: [{ type: 'full', repository: 'local' }], failures: [] });
  });

  test('hands over by Patroni, and backups follow the leader', async () => {
    await lab.sql('node-1', 'CREATE TABLE written (n bigserial PRIMARY KEY)');
    expect(await lab.error('switchover', '--to', 'node-2')).toMatchObject({ code: 'CONFIRMATION_REQUIRED' });
    const urls = lab.cluster.nodes.map((node) => lab.cluster.postgresUrl(node));
    const outage = await writeOutageDuring(urls, () => lab.json('switchover', '--to', 'node-2', '--confirm', 'lab', '--no-backup'));
    console.log(`write outage of a switchover by Patroni: ${outage.seconds.toFixed(2)} s`);
    // A takeover by failure takes as long as the lock lasts (ttl); a hand-over waits for nothing to expire.
    expect(outage.seconds).toBeLessThan(20);
    const [row] = await lab.sql<{ count: string }>('node-2', 'SELECT count(*) FROM written');
    expect(Number(row?.count)).toBeGreaterThanOrEqual(outage.acknowledged);
    expect(await status()).toMatchObject({ primary: 'node-2', patroni: { leader: 'node-2' } });
    await lab.cluster.untilAllStream();
    expect(await lab.json('setup', 'archiving')).toMatchObject({ isProven: true });
    const { backups } = await lab.json<{ backups: readonly { label: string }[] }>('backup', '--type', 'full');
    expect(backups).toHaveLength(1);
    expect(await lab.error('switchover', '--to', 'node-2', '--confirm', 'lab')).toMatchObject({ code: 'REFUSED_PRECONDITION' });
  });

  test('has a standby made anew by Patroni, of a backup, and never the leader', async () => {
    expect(await lab.error('reseed', 'node-2', '--confirm', 'lab')).toMatchObject({ code: 'REFUSED_PRECONDITION' });
    expect(await lab.error('reseed', 'node-3', '--method', 'rewind', '--confirm', 'lab')).toMatchObject({ code: 'USAGE' });
    const { config, facts } = await look();
    const intent = decideReseedByPatroni(config, 'node-3', facts);
    expect(await lab.json('reseed', 'node-3', '--confirm', 'lab')).toMatchObject({
      node: 'node-3',
      streaming: { leader: 'node-2', timeline: 2 },
    });
    expect(lab.cluster.logOf('node-3')).toContain('replica has been created using pgbackrest');
    expect(
      await lab.sql('node-3', `SELECT setting LIKE '%archive-get%' AS archive FROM pg_settings WHERE name = 'restore_command'`),
    ).toEqual([{ archive: true }]);
    // Done by whoever: it is not thrown away once more.
    expect(planByPatroni(intent, (await look()).facts).steps.map(({ kind }) => kind)).toEqual(['await-member']);
  });

  test('is paused and resumed, and the doctor says so meanwhile', async () => {
    await lab.carryOut({ steps: [pauseStep('a test')], warnings: [] });
    expect(await status()).toMatchObject({ patroni: { paused: true } });
    expect(await codes()).toContain('patroni-paused');
    await lab.carryOut({ steps: [resumeStep('node-2')], warnings: [] });
    expect(await status()).toMatchObject({ patroni: { paused: false } });
  });

  test('is restored in place under maintenance mode, and looked after again with the restored leader', async () => {
    await lab.sql('node-2', 'CREATE TABLE kept (n int)');
    await lab.sql('node-2', 'INSERT INTO kept VALUES (1), (2)');
    const [{ before } = { before: '' }] = await lab.sql<{ before: string }>('node-2', 'SELECT clock_timestamp()::text AS before');
    await lab.sql('node-2', 'DELETE FROM kept');
    expect(await lab.error('restore', '--to', before, '--in-place', 'node-3', '--confirm', 'lab')).toMatchObject({
      code: 'REFUSED_PRECONDITION',
    });
    const restored = await lab.json<{ run: string }>('restore', '--to', before, '--in-place', 'node-2', '--confirm', 'lab');
    expect(await lab.sql('node-2', 'SELECT n FROM kept ORDER BY n')).toEqual([{ n: 1 }, { n: 2 }]);
    expect(await status()).toMatchObject({ primary: 'node-2', patroni: { leader: 'node-2', paused: false } });
    const { journal } = await lab.json<{ journal: readonly { kind: string; step?: string }[] }>('runs', 'show', restored.run);
    const finished = journal.filter(({ kind }) => kind === 'step-finished').map(({ step }) => step);
    const order = ['pause-patroni', 'stop-server', 'swap-data-directory', 'confirm-restored', 'resume-patroni'];
    expect(finished.filter((step) => order.includes(step ?? ''))).toEqual(order);
    // A backup of what was replaced must not be what its standbys are made of.
    await lab.json('backup', '--type', 'full');
    for (const standby of ['node-1', 'node-3']) await lab.json('reseed', standby, '--confirm', 'lab');
    for (const { name } of lab.cluster.nodes) expect(await lab.sql(name, 'SELECT count(*)::int AS n FROM kept')).toEqual([{ n: 2 }]);
  });

  test('fails over by Patroni, which waits for the lock of the leader that died, and takes the backup of its timeline', async () => {
    expect(await lab.error('failover', '--confirm', 'lab')).toMatchObject({ code: 'REFUSED_PRECONDITION' });
    await lab.cluster.killMember('node-2');
    const failed = await lab.json<{ primary: string; timeline: number; backup: { labels: readonly string[] } | null }>(
      ...['failover', '--to', 'node-3', '--confirm', 'lab'],
    );
    expect(failed).toMatchObject({ primary: 'node-3', timeline: 4, backup: { labels: [expect.any(String)] } });
    expect(await lab.sql('node-3', 'SELECT count(*)::int AS n FROM kept')).toEqual([{ n: 2 }]);
    await lab.cluster.startMember('node-2');
    await lab.cluster.untilAllStream();
  });

  test('is told apart from one whose configuration store is away', async () => {
    await lab.cluster.stopEtcd();
    expect(await codes()).toContain('patroni-store-away');
    const { config, facts } = await look();
    expect(() => decideReseedByPatroni(config, 'node-3', facts)).toThrow(/configuration store/);
    expect((await status()).patroni.storeFault).not.toBeNull();
  });
});
