import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { REPLICATION_RIGHTS } from '../../src/domain/setup/roles.ts';
import { REPLICATION_ROLE } from '../../src/lab/layout.ts';
import { spoke } from '../harness/cli.ts';
import { querySocket, until, useLab } from '../harness/lab.ts';

interface Reseeded {
  readonly method: string;
  readonly streaming: { readonly timeline: number };
  readonly error?: { readonly code: string; readonly message: string; readonly exitCode: number };
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

  test('makes a lost slot afresh', async () => {
    await querySocket(lab().primary, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'replica_2'");
    const { exitCode } = await reseed('--method', 'basebackup', '--from', 'primary', '--keep-old');
    expect(exitCode).toBe(0);
    const kept = (await leftBeside()).filter((name) => name.includes('.old-'));
    expect(kept).toHaveLength(1);
    expect(existsSync(join(dirname(standby().dataDirectory), kept[0] ?? '', 'standby.signal'))).toBe(true);
  });

  test('refuses a node that became a primary of its own, and says so', async () => {
    await querySocket(standby(), 'SELECT pg_promote(true, 30)');
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
