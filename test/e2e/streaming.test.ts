import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { rename, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { parseLsn } from '../../src/domain/postgres/lsn.ts';
import { type Lab, querySocket, until, useLab } from '../harness/lab.ts';
import { reconfigure } from './support/config.ts';
import { RunningDaemon } from './support/daemon.ts';
import { Rows, rowsOf } from './support/data.ts';
import { postmasterOf } from './support/processes.ts';
import { receiverOf, receiversOf, tailNews, untilTailHasAll } from './support/streaming.ts';

interface DryRun {
  readonly tail: { readonly segments: readonly string[]; readonly toLsn: string } | null;
  readonly plan: { readonly steps: readonly { readonly kind: string }[] };
}

interface Status {
  readonly recoverable: { readonly to: string };
  readonly repositories: readonly { readonly tail: { readonly endLsn: string } | null }[];
  readonly findings: readonly { readonly code: string }[];
}

describe('WAL that is streamed beside the archive', () => {
  const lab = useLab({ nodes: 2, s3: false, impatient: true });
  let daemon: RunningDaemon;
  let rows: Rows;

  beforeAll(async () => {
    await reconfigure(lab(), (document) => document.setIn(['clusters', 'lab', 'wal'], { streaming: true, tailSeconds: 1, keepMib: 512 }));
    rows = await Rows.begin(lab());
    await lab().backup('full');
  });

  afterEach(async ({ task }) => {
    if (!daemon.tool.hasEnded) await daemon.stop();
    if (task.result?.state === 'fail') throw new Error(`the daemon said:\n${daemon.tool.stderr}`);
  });

  async function started(): Promise<RunningDaemon> {
    daemon = new RunningDaemon(lab());
    await daemon.line('it streams', ({ msg }) => msg.startsWith('streaming WAL from'));
    await receiverOf(lab());
    return daemon;
  }

  const tailEnd = () => parseLsn(tailNews(lab())?.endLsn ?? '');

  test('has its slot bounded by setup archiving', async () => {
    await started();
    expect(await querySocket(lab().primary, 'SHOW max_slot_wal_keep_size')).toEqual([{ max_slot_wal_keep_size: '512MB' }]);
  });

  test('reaches the repository while its segment is still being written, and status counts it', async () => {
    await started();
    await rows.commit();
    await untilTailHasAll(lab(), lab().primary);
    const before = tailEnd();
    const status = await lab().json<Status>('status');
    const counted = parseLsn(status.repositories[0]?.tail?.endLsn ?? '');
    // The server writes on of its own accord.
    expect(counted).toBeGreaterThanOrEqual(before);
    expect(counted).toBeLessThanOrEqual(tailEnd());
    expect(Date.now() - Date.parse(status.recoverable.to)).toBeLessThan(60_000);
    expect(status.findings.map(({ code }) => code).filter((code) => /streaming|slot/.test(code))).toEqual([]);
  });

  test('tells where the last record begins as pg_waldump does', async () => {
    await started();
    await rows.commit();
    await untilTailHasAll(lab(), lab().primary);
    const news = tailNews(lab());
    const dumped = await lab().postgresql(
      'pg_waldump',
      '--start',
      news?.lastRecordLsn ?? '',
      '--limit',
      '1',
      join(lab().primary.dataDirectory, 'pg_wal', news?.segment ?? ''),
    );
    expect(dumped.toUpperCase()).toContain(`LSN: ${padded(news?.lastRecordLsn ?? '')}`);
  });

  test('goes on when the receiver is killed', async () => {
    await started();
    const killed = await receiverOf(lab());
    process.kill(killed, 'SIGKILL');
    await expect.poll(() => receiversOf(lab()).filter((pid) => pid !== killed).length, { timeout: 30_000, interval: 50 }).toBe(1);
    await rows.commit();
    await untilTailHasAll(lab(), lab().primary);
  });

  test('goes on when a receiver was killed before its new file was filled', async () => {
    await started();
    await daemon.stop();
    const incoming = join(lab().description.stateDirectory, 'wal-stream/lab/incoming');
    const partial = readdirSync(incoming).find((name) => name.endsWith('.partial')) ?? '';
    await truncate(join(incoming, partial), 65_536);
    await started();
    await rows.commit();
    await untilTailHasAll(lab(), lab().primary);
  });

  test('goes on when the receiver hangs', async () => {
    await started();
    const stopped = await receiverOf(lab());
    process.kill(stopped, 'SIGSTOP');
    await rows.commit();
    await daemon.line('it is noticed', ({ msg }) => msg.includes('nothing has come from'));
    await untilTailHasAll(lab(), lab().primary);
    expect(receiversOf(lab())).not.toContain(stopped);
  });

  test('leaves no receiver behind when the daemon is killed, and the next one has the only one', async () => {
    await started();
    daemon.tool.kill('SIGKILL');
    await daemon.tool.ended;
    await started();
    await rows.commit();
    await untilTailHasAll(lab(), lab().primary);
    expect(receiversOf(lab())).toHaveLength(1);
    await daemon.stop();
    expect(receiversOf(lab())).toEqual([]);
  });

  test('goes on when the primary has crashed and is back', async () => {
    await started();
    const { dataDirectory } = lab().primary;
    for (const pid of postmasterOf(dataDirectory)) process.kill(pid, 'SIGKILL');
    await startedAgain(lab(), dataDirectory);
    await rows.commit();
    await untilTailHasAll(lab(), lab().primary);
  });

  test('gives up what the archive holds', async () => {
    await started();
    await rows.commit();
    await untilTailHasAll(lab(), lab().primary);
    const { segment = '' } = tailNews(lab()) ?? {};
    await querySocket(lab().primary, 'SELECT pg_switch_wal()');
    await rows.commit();
    const stored = () =>
      readdirSync(join(lab().directory, 'repository/spoke-backup/lab/tail/00000001')).some((name) => name.startsWith(segment));
    await expect.poll(stored, { timeout: 150_000, interval: 500 }).toBe(false);
  });

  test('makes its slot anew when the server has lost it, and says so', async () => {
    await started();
    await daemon.stop();
    await setAndReload('max_slot_wal_keep_size', '1MB');
    for (let segment = 0; segment < 4; segment++) {
      await rows.commit();
      await querySocket(lab().primary, 'SELECT pg_switch_wal()');
    }
    const status = () =>
      querySocket<{ wal_status: string }>(lab().primary, `SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'spoke_lab'`);
    await until('the slot is lost', async () => {
      await querySocket(lab().primary, 'CHECKPOINT');
      return (await status())[0]?.wal_status === 'lost';
    });
    await setAndReload('max_slot_wal_keep_size', '512MB');
    daemon = new RunningDaemon(lab());
    await daemon.line('it says that the slot was lost', ({ msg }) => msg.includes('was lost'));
    await receiverOf(lab());
    await rows.commit();
    await untilTailHasAll(lab(), lab().primary);
  });

  test('with primary, standby and the streaming machine gone, restore to latest brings all back that had come to the repository', async () => {
    await started();
    const heir = lab().node('replica-1');
    // A promotion whose history file no archive has seen.
    await querySocket(heir, `ALTER SYSTEM SET archive_command = '/bin/false'`);
    await querySocket(heir, 'SELECT pg_reload_conf()');
    await until('the standby has everything', async () => (await rowsOf(heir)).length === (await rows.now()).length);
    await lab().stop(lab().primary.dataDirectory, 'immediate');
    await querySocket(heir, 'SELECT pg_promote()');
    await daemon.line('it follows', ({ msg }) => msg.includes('streaming WAL from replica-1'));
    const [last] = await querySocket<{ n: string }>(heir, 'INSERT INTO numbers SELECT max(n) + 1 FROM numbers RETURNING n');
    await untilTailHasAll(lab(), heir);
    expect(tailNews(lab())?.segment).toMatch(/^00000002/);
    const expected = await rowsOf(heir);
    daemon.tool.kill('SIGKILL');
    await daemon.tool.ended;
    await lab().stop(heir.dataDirectory, 'immediate');
    for (const { dataDirectory } of [lab().primary, heir]) await rename(dataDirectory, `${dataDirectory}.gone`);
    expect(statSync(join(lab().description.stateDirectory, 'wal-stream/lab/passfile')).mode & 0o777).toBe(0o600);
    expect(daemon.tool.stderr).not.toContain(readFileSync(join(lab().directory, 'secrets/postgres-password'), 'utf8').trim());
    await rename(join(lab().description.stateDirectory, 'wal-stream'), join(lab().directory, 'wal-stream.gone'));

    const shown = await lab().json<DryRun>('restore', '--to', 'latest', '--data-directory', join(lab().directory, 'restored'), '--dry-run');
    expect(shown.tail?.segments.at(-1)).toMatch(/^00000002/);
    expect(shown.plan.steps.map(({ kind }) => kind)).toContain('stage-tail');
    const restored = await lab().restore('restored', '--to', 'latest');
    expect(await rowsOf(restored)).toEqual(expected);
    expect(expected).toContain(Number(last?.n));
    expect(restored.reached.timeline).toBe(2);
    expect(existsSync(join(restored.dataDirectory, 'pg_wal/00000002.history'))).toBe(true);
    await lab().remove(restored);
  });

  async function setAndReload(name: string, value: string): Promise<void> {
    await querySocket(lab().primary, `ALTER SYSTEM SET ${name} = '${value}'`);
    await querySocket(lab().primary, 'SELECT pg_reload_conf()');
  }
});

/** The children of a postmaster that was killed end by themselves; until then its memory is in use. */
async function startedAgain(lab: Lab, dataDirectory: string): Promise<void> {
  const start = () =>
    lab.start(dataDirectory).then(
      () => true,
      () => false,
    );
  await expect.poll(start, { timeout: 30_000, interval: 200 }).toBe(true);
}

/** As pg_waldump prints a position. */
function padded(lsn: string): string {
  const [high = '', low = ''] = lsn.split('/');
  return `${high}/${low.padStart(8, '0')}`;
}
