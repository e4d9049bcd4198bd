import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { REPLICATION_RIGHTS } from '../../src/domain/setup/roles.ts';
import { REPLICATION_ROLE } from '../../src/lab/layout.ts';
import { spoke } from '../harness/cli.ts';
import { querySocket, until, useLab } from '../harness/lab.ts';
import { journalOf } from './support/journal.ts';
import { interruptAt } from './support/kill.ts';

interface Reseeded {
  readonly run: string;
  readonly method: string;
  readonly streaming: { readonly timeline: number };
  readonly error?: { readonly code: string; readonly message: string; readonly exitCode: number };
}

/** Every file below a directory with its size and when it was changed. */
async function everyFile(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  return Promise.all(files.sort().map(async (file) => `${file} ${(await stat(file)).size} ${(await stat(file)).mtimeMs}`));
}

/** Real servers: each method brings the same standby back, and what must not be touched is not. */
describe('reseed', () => {
  const lab = useLab({ nodes: 3, s3: false, impatient: true });
  const standby = () => lab().node('replica-2');

  beforeAll(async () => {
    await lab().backup('full');
    for (const signature of REPLICATION_RIGHTS.mayExecute)
      await querySocket(lab().primary, `GRANT EXECUTE ON FUNCTION ${signature} TO ${REPLICATION_ROLE}`);
  });

  async function reseed(...options: readonly string[]) {
    const { exitCode, document } = await spoke(['reseed', 'replica-2', ...options, '--confirm', 'lab'], {
      config: lab().description.config,
    });
    return { exitCode, document: document as Reseeded };
  }

  /** What is committed on the primary from now on arrives there. */
  async function follows(marker: string): Promise<void> {
    await querySocket(lab().primary, `CREATE TABLE ${marker} AS SELECT 1 AS one`);
    await until(`${marker} is on the standby`, async () => {
      const [row] = await querySocket<{ name: string | null }>(standby(), `SELECT to_regclass('${marker}')::text AS name`);
      return row?.name === marker;
    });
    const [slot] = await querySocket<{ active: boolean }>(
      lab().primary,
      "SELECT active FROM pg_replication_slots WHERE slot_name = 'replica_2'",
    );
    expect(slot?.active).toBe(true);
  }

  /** Nothing of a run is left beside the data directory but the passfile. */
  async function leftBeside(): Promise<readonly string[]> {
    const names = await readdir(dirname(standby().dataDirectory));
    return names.filter((name) => name.startsWith('.spoke') || name.includes('.old-'));
  }

  /** On the primary, for the servers that run. */
  async function set(name: string, value: string): Promise<void> {
    await querySocket(lab().primary, `ALTER SYSTEM SET ${name} = '${value}'`);
    await querySocket(lab().primary, 'SELECT pg_reload_conf()');
  }

  async function slotsByName() {
    const slots = await querySocket<{ slot_name: string; active: boolean; wal_status: string }>(
      lab().primary,
      'SELECT slot_name, active, wal_status FROM pg_replication_slots',
    );
    return new Map(slots.map((slot) => [slot.slot_name, slot]));
  }

  test.each([
    ['basebackup', ['--method', 'basebackup', '--from', 'replica-1']],
    ['basebackup', ['--method', 'basebackup', '--from', 'primary']],
    ['backup', ['--method', 'backup', '--from', 'local']],
    ['delta', ['--method', 'delta']],
  ])('brings a standby back by %s %j', async (method, options) => {
    const { exitCode, document } = await reseed(...options);
    expect(document).toMatchObject({ method });
    expect(exitCode).toBe(0);
    await follows(`after_${method}_${options.at(-1)?.replaceAll('-', '_')}`);
    expect(await leftBeside()).toEqual([]);
    const settings = await readFile(join(standby().dataDirectory, 'postgresql.auto.conf'), 'utf8');
    expect(settings).not.toMatch(/password/);
    expect((await stat(`${standby().dataDirectory}.pgpass`)).mode & 0o777).toBe(0o600);
  });

  test('shows every way with its price and changes nothing on --dry-run', async () => {
    const before = await querySocket<{ started: string }>(standby(), 'SELECT pg_postmaster_start_time()::text AS started');
    const { exitCode, document } = await reseed('--dry-run');
    expect(exitCode).toBe(0);
    const { options } = document as unknown as { options: readonly { method: string; reason: string }[] };
    expect(new Set(options.map((one) => one.method))).toEqual(new Set(['rewind', 'delta', 'backup', 'basebackup']));
    expect(options.every(({ reason }) => reason !== '')).toBe(true);
    expect(await querySocket(standby(), 'SELECT pg_postmaster_start_time()::text AS started')).toEqual(before);
  });

  test('never touches the primary', async () => {
    const { exitCode, document } = await spoke(['reseed', 'primary-1', '--confirm', 'lab'], { config: lab().description.config });
    expect(exitCode).toBe(12);
    expect((document as Reseeded).error).toMatchObject({ code: 'REFUSED_PRECONDITION', message: expect.stringContaining('is a primary') });
    expect(await querySocket(lab().primary, 'SELECT pg_is_in_recovery() AS standby')).toEqual([{ standby: false }]);
  });

  test('drops a slot that has lost WAL, makes it afresh, and leaves no other', async () => {
    await lab().stop(standby().dataDirectory);
    await set('max_slot_wal_keep_size', '1MB');
    // A slot is looked at when a checkpoint removes WAL.
    await until('the slot is lost', async () => {
      await querySocket(lab().primary, 'SELECT pg_logical_emit_message(true, $1, $2), pg_switch_wal()', ['filler', 'x'.repeat(100)]);
      await querySocket(lab().primary, 'CHECKPOINT');
      return (await slotsByName()).get('replica_2')?.wal_status === 'lost';
    });
    // Else the new one would be lost in turn, with the segment that the copy begins and ends.
    await set('max_slot_wal_keep_size', '-1');
    const { exitCode, document } = await reseed('--method', 'basebackup', '--from', 'primary', '--keep-old');
    expect(exitCode).toBe(0);
    const renewed = journalOf(lab().description.stateDirectory, document.run).find(
      ({ kind, step }) => kind === 'step-finished' && step === 'renew-slot',
    );
    expect(renewed).toMatchObject({ result: { dropped: true, created: true } });
    const slots = await slotsByName();
    expect([...slots.keys()].sort()).toEqual(['replica_1', 'replica_2']);
    expect(slots.get('replica_2')).toMatchObject({ active: true, wal_status: 'reserved' });
    await follows('after_a_lost_slot');
    const kept = (await leftBeside()).filter((name) => name.includes('.old-'));
    expect(kept).toHaveLength(1);
    const old = join(dirname(standby().dataDirectory), kept[0] ?? '');
    expect(existsSync(join(old, 'standby.signal'))).toBe(true);
    await rm(old, { recursive: true });
  });

  test('fails at once, with what the log says, when the new standby does not come up, and goes on once that is put right', async () => {
    const { dataDirectory } = lab().primary;
    const path = join(dataDirectory, 'postgresql.conf');
    const before = await readFile(path, 'utf8');
    // Less than the primary runs with, which it would not notice before its next start: a standby refuses to replay then.
    await writeFile(path, `${before}\nmax_connections = 10\nmax_wal_senders = 2\nsuperuser_reserved_connections = 1\n`);
    const started = performance.now();
    const { exitCode, document } = await reseed('--method', 'basebackup', '--from', 'primary');
    await writeFile(path, before);
    expect(document.error).toMatchObject({ code: 'POSTGRES_FAILED', message: expect.stringContaining('insufficient parameter settings') });
    expect(exitCode).toBe(document.error?.exitCode);
    expect(performance.now() - started).toBeLessThan(30_000);
    await writeFile(join(standby().dataDirectory, 'postgresql.conf'), before);
    expect((await spoke(['runs', 'resume'], { config: lab().description.config })).exitCode).toBe(0);
    await follows('after_a_server_that_died');
  });

  test('touches nothing where the data directory turns out to be of another cluster', async () => {
    const { dataDirectory } = standby();
    await lab().stop(dataDirectory);
    await rename(dataDirectory, `${dataDirectory}.away`);
    await lab().postgresql('initdb', '--pgdata', dataDirectory, '--username=postgres', '--auth=trust');
    await writeFile(join(dataDirectory, 'standby.signal'), '');
    const before = await everyFile(dataDirectory);
    const slots = await slotsByName();
    const { exitCode, document } = await reseed('--method', 'basebackup', '--from', 'primary');
    expect(exitCode).toBe(12);
    expect(document.error).toMatchObject({ code: 'REFUSED_WRONG_CLUSTER', message: expect.stringContaining('is of another cluster') });
    expect(await everyFile(dataDirectory)).toEqual(before);
    expect(await slotsByName()).toEqual(slots);
    expect(await leftBeside()).toEqual([]);
    await rm(dataDirectory, { recursive: true });
    await rename(`${dataDirectory}.away`, dataDirectory);
    await lab().start(dataDirectory);
    await follows('after_a_stranger');
  });

  test('touches nothing of a standby that became the primary while the run was interrupted', async () => {
    const { dataDirectory } = standby();
    // Dead before it could do anything: the standby still runs.
    await rm(`${dataDirectory}.pgpass`, { force: true });
    await lab().stop(dataDirectory);
    const { run } = await interruptAt(lab(), ['reseed', 'replica-2', '--method', 'delta', '--confirm', 'lab'], { step: 'write-passfile' });
    await lab().start(dataDirectory);
    await querySocket(standby(), 'SELECT pg_promote(true, 30)');
    const before = await querySocket(standby(), 'SELECT pg_postmaster_start_time()::text AS started');
    const { exitCode, document } = await spoke(['runs', 'resume', run], { config: lab().description.config });
    expect(exitCode).toBe(12);
    expect((document as Reseeded).error?.message).toContain('replica-2 is a primary');
    expect(await querySocket(standby(), 'SELECT pg_postmaster_start_time()::text AS started')).toEqual(before);
    expect(await leftBeside()).toEqual([]);
    expect(await lab().json('runs', 'cancel', run)).toMatchObject({ outcome: 'abandoned' });
    expect(await querySocket(standby(), 'SELECT pg_postmaster_start_time()::text AS started')).toEqual(before);
  });

  test('refuses a node that became a primary of its own, and says so', async () => {
    const { exitCode, document } = await reseed();
    expect(exitCode).toBe(12);
    expect(document.error?.message).toContain('replica-2 is a primary');
  });

  test('rewinds it once that server is stopped: what it wrote on its own is gone, and it streams again', async () => {
    await querySocket(standby(), 'CREATE TABLE of_nobody AS SELECT 1 AS one');
    await lab().stop(standby().dataDirectory);
    const { exitCode, document } = await reseed('--method', 'rewind');
    expect(document).toMatchObject({ method: 'rewind' });
    expect(exitCode).toBe(0);
    expect(await querySocket(standby(), "SELECT to_regclass('of_nobody')::text AS name")).toEqual([{ name: null }]);
    await follows('after_rewind');
  });
});
