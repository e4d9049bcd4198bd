import { rm } from 'node:fs/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RestoreResult } from '../../src/cli/render/restore.ts';
import { REPLICATION_RIGHTS } from '../../src/domain/setup/roles.ts';
import { REPLICATION_ROLE } from '../../src/lab/layout.ts';
import { type Backup, querySocket, until, useLab } from '../harness/lab.ts';
import { identityOf, restoreAreasBeside, Rows, rowsOf, serverTime, untilBackupsArePast } from './support/data.ts';
import { type Front, putInFront, readEndpoints } from './support/front.ts';
import { JournalWatch } from './support/journal.ts';
import { RunningTool } from './support/tool.ts';

interface ClusterResult extends RestoreResult {
  readonly standbys: readonly { readonly node: string; readonly method: string | null }[];
  readonly newBackup: { readonly labels: readonly string[] } | null;
}

/** A primary with two standbys goes back to an instant, all of it. */
describe('a restore in place of a cluster', () => {
  const lab = useLab({ nodes: 3, s3: false, impatient: true });
  const STANDBYS = ['replica-1', 'replica-2'];
  const ONE_AT_A_TIME = { timeout: 240_000 };
  let rows: Rows;
  let front: Front | undefined;

  /** As clients see it. */
  async function through<Row extends object>(database: string, statement: string): Promise<readonly Row[]> {
    if (front === undefined) throw new Error('the front is made in beforeAll');
    const { port, password } = front;
    const client = new Client({ host: '127.0.0.1', port, user: 'postgres', password, database });
    await client.connect();
    try {
      return (await client.query<Row>(statement)).rows;
    } finally {
      await client.end();
    }
  }

  afterAll(() => front?.bouncer.stop(), 60_000);

  beforeAll(async () => {
    rows = await Rows.begin(lab());
    front = await putInFront(lab());
    for (const signature of REPLICATION_RIGHTS.mayExecute)
      await querySocket(lab().primary, `GRANT EXECUTE ON FUNCTION ${signature} TO ${REPLICATION_ROLE}`);
    await lab().backup('full');
    await untilBackupsArePast(lab());
  }, 120_000);

  /** Rows, an instant, and rows that are to have never been; the standbys have seen them. */
  async function accident() {
    await rows.commit();
    const kept = await rows.now();
    const target = await serverTime(lab().primary);
    const lost = await rows.commit();
    for (const name of STANDBYS) await until(`${lost} is on ${name}`, async () => (await rowsOf(lab().node(name))).includes(lost));
    return { kept, lost, target, argv: ['restore', '--to', target, '--in-place', '--confirm', 'lab'] };
  }

  async function timelineOf(name: string): Promise<number> {
    const [row] = await querySocket<{ timeline: number }>(
      lab().node(name),
      'SELECT coalesce((SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint())) AS timeline',
    );
    return row?.timeline ?? 0;
  }

  /** All nodes have what is to be there and what is written from now on, by their slots, on one timeline; nothing is left of the run. */
  async function expectRestored({ kept, lost }: { readonly kept: readonly number[]; readonly lost: number }, result: ClusterResult) {
    expect(await rows.now()).toEqual(kept);
    const more = await rows.commit();
    for (const name of STANDBYS) {
      await until(`${more} is on ${name}`, async () => (await rowsOf(lab().node(name))).includes(more));
      expect(await rowsOf(lab().node(name))).toEqual([...kept, more]);
      expect(await timelineOf(name)).toBe(result.timeline);
      expect(restoreAreasBeside(lab().node(name).dataDirectory)).toEqual([]);
    }
    expect(kept).not.toContain(lost);
    expect(await through('app', 'SELECT pg_is_in_recovery() AS standby')).toEqual([{ standby: false }]);
    expect(await through('reads', 'SELECT pg_is_in_recovery() AS standby')).toEqual([{ standby: true }]);
    const published = await readEndpoints(lab());
    for (const name of ['primary-1', ...STANDBYS]) expect(published).toContain(`127.0.0.1:${lab().node(name).port}/`);
    const slots = await querySocket(lab().primary, 'SELECT slot_name, active FROM pg_replication_slots ORDER BY 1');
    expect(slots).toEqual([
      { slot_name: 'replica_1', active: true },
      { slot_name: 'replica_2', active: true },
    ]);
    const { backups } = await lab().json<{ backups: readonly Backup[] }>('backups');
    const [label] = result.newBackup?.labels ?? [];
    expect(backups.find((one) => one.label === label)?.timeline).toBe(result.timeline);
    const archived = await lab().walFiles('local');
    const prefix = result.timeline.toString(16).toUpperCase().padStart(8, '0');
    expect(archived.some((name) => name.startsWith(`${prefix}.history`))).toBe(true);
    expect(archived.some((name) => name.startsWith(`${prefix}0`))).toBe(true);
    expect(result.standbys.map(({ node }) => node)).toEqual(STANDBYS);
    await rm(result.oldDataDirectory ?? '', { recursive: true });
  }

  test('shows all of it on --dry-run and changes nothing', ONE_AT_A_TIME, async () => {
    const { argv, lost } = await accident();
    const before = identityOf(lab().primary.dataDirectory);
    const dry = await lab().json<{ plan: { steps: readonly { id: string }[] }; afterwards: readonly string[] }>(...argv, '--dry-run');
    const ids = dry.plan.steps.map(({ id }) => id);
    expect(ids.filter((id) => /^(stop|pause|resume|swap|confirm)-/.test(id))).toEqual([
      'stop-isolated',
      'pause-pgbouncer front',
      'stop-standby replica-1',
      'stop-standby replica-2',
      'stop-server',
      'swap-data-directory',
      'confirm-restored',
      'resume-pgbouncer front',
    ]);
    expect(dry.afterwards.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      'Seed replica-1',
      'Seed replica-2',
      'Have primary-1',
    ]);
    expect(identityOf(lab().primary.dataDirectory)).toBe(before);
    for (const name of STANDBYS) expect(await rowsOf(lab().node(name))).toContain(lost);
  });

  test('takes the standbys along, and a backup of the new timeline', ONE_AT_A_TIME, async () => {
    const done = await accident();
    const result = await lab().json<ClusterResult>(...done.argv);
    await expectRestored(done, result);
  });

  test.each([
    ['when the first standby is stopped', /^stop-standby replica-2$/],
    ['while the data is swapped', /^swap-data-directory$/],
    ['while a standby is seeded', /^(rewind|restore|copy)-standby replica-1$/],
    ['while the last standby is waited for', /^await-streaming replica-2$/],
  ])('goes on where its program was killed %s', ONE_AT_A_TIME, async (_when, step) => {
    const done = await accident();
    const watch = new JournalWatch(lab().description.stateDirectory);
    const tool = new RunningTool(done.argv, { config: lab().description.config });
    const run = await watch.entry((entry) => entry.kind === 'step-started' && step.test(entry.step ?? ''), String(step), tool);
    tool.kill('SIGKILL');
    await tool.ended;
    const result = await lab().json<ClusterResult>('runs', 'resume');
    expect(result.run).toBe(run);
    await expectRestored(done, result);
  });

  test('has everything serve as before where it is stopped before the swap, and can be given up', ONE_AT_A_TIME, async () => {
    const done = await accident();
    const watch = new JournalWatch(lab().description.stateDirectory);
    const tool = new RunningTool(done.argv, { config: lab().description.config });
    const run = await watch.stepBegun('stop-standby replica-2', tool);
    tool.kill('SIGTERM');
    expect((await tool.ended).exitCode).toBe(143);
    expect(await through('app', 'SELECT pg_is_in_recovery() AS standby')).toEqual([{ standby: false }]);
    await lab().json('runs', 'cancel', run);
    expect(await rows.now()).toContain(done.lost);
    const more = await rows.commit();
    for (const name of STANDBYS)
      await until(
        `${more} is on ${name}`,
        async () => (await lab().isRunning(lab().node(name).dataDirectory)) && (await rowsOf(lab().node(name))).includes(more),
      );
    expect(restoreAreasBeside(lab().primary.dataDirectory)).toEqual([]);
  });

  test('never makes a second primary of a standby', ONE_AT_A_TIME, async () => {
    const { target } = await accident();
    const error = await lab().error('restore', '--to', target, '--in-place', 'replica-1', '--confirm', 'lab');
    expect(error).toMatchObject({ code: 'REFUSED_PRECONDITION', exitCode: 12 });
    expect(error.hint).toContain('--in-place primary-1');
  });
});
