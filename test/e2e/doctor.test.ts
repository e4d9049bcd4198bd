import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { REPLICATION_ROLE } from '../../src/lab/layout.ts';
import { spoke } from '../harness/cli.ts';
import { querySocket, until, useLab } from '../harness/lab.ts';

interface Finding {
  readonly code: string;
  readonly severity: string;
  readonly node: string | null;
  readonly message: string;
  readonly evidence: readonly string[];
  readonly cause: string;
  readonly nextCommand: string;
}

interface Lag {
  readonly bytes: number;
  readonly receiveBytes: number;
  readonly replayBytes: number;
  readonly seconds: number | null;
}

/** Each trouble is made for real, found, and mended again before the next one. */
describe('doctor and status', () => {
  const lab = useLab({ nodes: 3, s3: false, impatient: true });
  const hba = () => join(lab().primary.dataDirectory, 'pg_hba.conf');
  let rules: string;

  beforeAll(async () => {
    await lab().backup('full');
    rules = await readFile(hba(), 'utf8');
    await set('max_slot_wal_keep_size', '1GB');
  });

  async function set(name: string, value: string): Promise<void> {
    await querySocket(lab().primary, `ALTER SYSTEM SET ${name} = '${value}'`);
    await querySocket(lab().primary, 'SELECT pg_reload_conf()');
  }

  async function examine(): Promise<{ readonly exitCode: number | undefined; readonly findings: readonly Finding[] }> {
    const { exitCode, document } = await spoke(['doctor'], { config: lab().description.config });
    return { exitCode, findings: (document as { findings: readonly Finding[] }).findings };
  }

  /** The standby notices only when it tries to connect again. */
  async function found(code: string, node: string | null): Promise<Finding> {
    let finding: Finding | undefined;
    await until(`the doctor finds ${code}`, async () => {
      const { exitCode, findings } = await examine();
      finding = findings.find((one) => one.code === code && one.node === node);
      if (finding !== undefined) expect(exitCode).toBe(3);
      return finding !== undefined;
    });
    return finding!;
  }

  async function isWell(): Promise<void> {
    await until('nothing is the matter', async () => (await examine()).findings.length === 0);
    expect((await examine()).exitCode).toBe(0);
  }

  const disconnect = (slot: string) =>
    querySocket(lab().primary, 'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1', [slot]);

  async function setPassword(password: string): Promise<void> {
    await querySocket(lab().primary, `ALTER ROLE ${REPLICATION_ROLE} PASSWORD '${password.replaceAll("'", "''")}'`);
  }

  test('find nothing the matter with a healthy cluster', isWell);

  test('find a replica whose replay is paused, and how far behind it is', async () => {
    // Until it has replayed a commit a standby cannot tell how old what it shows is.
    await querySocket(lab().primary, 'CREATE TABLE seen (n int)');
    await until('the table is everywhere', async () => {
      const [row] = await querySocket<{ found: string | null }>(lab().node('replica-2'), `SELECT to_regclass('seen') AS found`);
      return row?.found === 'seen';
    });
    await querySocket(lab().node('replica-2'), 'SELECT pg_wal_replay_pause()');
    const finding = await found('replay-paused', 'replica-2');
    expect(finding.nextCommand).toContain('pg_wal_replay_resume');
    await querySocket(lab().primary, `CREATE TABLE unseen AS SELECT generate_series(1, 10000) AS n`);
    await until('what is written is received and not replayed', async () => {
      const lag = await lagOf('replica-2');
      return lag.receiveBytes === 0 && lag.replayBytes > 100_000 && lag.seconds !== null && lag.seconds > 0;
    });
    expect(await lagOf('replica-1')).toMatchObject({ replayBytes: 0 });
    await querySocket(lab().node('replica-2'), 'SELECT pg_wal_replay_resume()');
    await isWell();
    await until('an idle primary has no standby that lags', async () => {
      const { bytes, seconds } = await lagOf('replica-2');
      return bytes === 0 && seconds === 0;
    });
  });

  test('find a replica with a wrong password, by what its log says', async () => {
    const password = (await readFile(join(lab().directory, 'secrets/replicator-password'), 'utf8')).trim();
    await setPassword('changed');
    await disconnect('replica_1');
    const finding = await found('replica-password', 'replica-1');
    expect(finding).toMatchObject({ severity: 'critical', evidence: [expect.stringContaining('password authentication failed')] });
    expect(JSON.stringify(finding)).not.toContain(password);
    await setPassword(password);
    await isWell();
  });

  test('find a replica that pg_hba.conf does not let in, then one whose slot was dropped', async () => {
    await writeFile(hba(), `host replication all 127.0.0.1/32 reject\n${rules}`);
    await querySocket(lab().primary, 'SELECT pg_reload_conf()');
    await disconnect('replica_1');
    const finding = await found('replica-hba', 'replica-1');
    expect(finding.nextCommand).toBe('spoke-backup setup primary --dry-run');
    await querySocket(lab().primary, `SELECT pg_drop_replication_slot('replica_1')`);
    await writeFile(hba(), rules);
    await querySocket(lab().primary, 'SELECT pg_reload_conf()');
    expect(await found('replica-slot-missing', 'replica-1')).toMatchObject({
      message: 'replica-1 does not stream: primary-1 has no replication slot replica_1',
      nextCommand: expect.stringContaining(`pg_create_physical_replication_slot('replica_1', true)`),
    });
    await querySocket(lab().primary, `SELECT pg_create_physical_replication_slot('replica_1', true)`);
    await isWell();
  });

  test('find an archive_command that fails', async () => {
    const [before] = await querySocket<{ setting: string }>(
      lab().primary,
      `SELECT setting FROM pg_settings WHERE name = 'archive_command'`,
    );
    await set('archive_command', 'false');
    await writeSegment();
    const finding = await found('archive-failing', null);
    expect(finding.cause).toContain('archive_command fails');
    await set('archive_command', before?.setting.replaceAll("'", "''") ?? '');
    await isWell();
  });

  test('find a slot that is lost, and the replica that is down and needs it', async () => {
    await lab().stop(lab().node('replica-2').dataDirectory);
    await set('max_slot_wal_keep_size', '16MB');
    for (let segments = 0; segments < 4; segments++) await writeSegment();
    await querySocket(lab().primary, 'CHECKPOINT');
    expect(await found('slot-lost', 'replica-2')).toMatchObject({ nextCommand: 'spoke-backup reseed replica-2 --dry-run' });
    const { findings } = await examine();
    expect(findings).toContainEqual(expect.objectContaining({ code: 'node-down', node: 'replica-2' }));
    expect(findings.find(({ code }) => code === 'node-down')?.message).toContain('it would be a standby');
  });

  async function lagOf(node: string) {
    const { document } = await spoke(['status'], { config: lab().description.config });
    const { nodes } = document as { nodes: readonly { readonly name: string; readonly lag: Lag | null }[] };
    const lag = nodes.find(({ name }) => name === node)?.lag;
    if (lag === undefined || lag === null) throw new Error(`${node} tells of no lag`);
    return lag;
  }

  async function writeSegment(): Promise<void> {
    await querySocket(lab().primary, `SELECT pg_create_restore_point('filler')`);
    await querySocket(lab().primary, 'SELECT pg_switch_wal()');
  }
});
