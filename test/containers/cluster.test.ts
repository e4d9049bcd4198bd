import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ComposeCluster } from './support/compose-cluster.ts';

const PATIENCE = { timeout: 60_000, interval: 250 };

describe('the cluster of docker-compose.yml', () => {
  let cluster: ComposeCluster | undefined;
  const it = () => {
    if (cluster === undefined) throw new Error('the cluster did not start');
    return cluster;
  };
  beforeAll(async () => {
    cluster = await ComposeCluster.up();
  }, 180_000);
  afterAll(() => cluster?.down(), 60_000);

  const streaming = () => it().query('node-1', "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming' ORDER BY 1");

  test('streams from one primary to two standbys, each by its slot', async () => {
    await expect.poll(streaming, PATIENCE).toBe('node-2\nnode-3');
    expect(await it().query('node-1', 'SELECT slot_name FROM pg_replication_slots WHERE active ORDER BY 1')).toBe('node_2\nnode_3');
    await it().query('node-1', 'CREATE TABLE marks (id int PRIMARY KEY); INSERT INTO marks VALUES (1)');
    for (const node of ['node-2', 'node-3'] as const) {
      await expect.poll(() => it().query(node, 'SELECT id FROM marks').catch(String), PATIENCE).toBe('1');
    }
  });

  test('keeps passwords off command lines, out of environments and out of the settings of PostgreSQL', async () => {
    const secret = (await it().run('node-2', 'cat', '/run/secrets/cluster/replication')).stdout.trim();
    expect(secret).toMatch(/^[0-9a-f]{48}$/);
    for (const node of ['node-1', 'node-2', 'spoke-backup'] as const) {
      const seen = await it().run(
        node,
        'sh',
        '-c',
        'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; cat /var/lib/postgresql/17/main/*.conf; true',
      );
      expect(seen.stdout).not.toContain(secret);
    }
  });

  test('runs nothing as root', async () => {
    for (const service of ['node-1', 'pgbouncer', 'spoke-backup'] as const) {
      expect((await it().run(service, 'id', '-un')).stdout.trim()).toBe('postgres');
    }
  });

  test('is reached through PgBouncer', async () => {
    const through = ['psql', '-X', '-A', '-t', '-w', '-h', '127.0.0.1', '-p', '6432', '-U', 'postgres', '-d', 'postgres'];
    const { stdout, stderr } = await it().run('pgbouncer', ...through, '-c', 'SELECT NOT pg_is_in_recovery()');
    expect(stdout.trim(), stderr).toBe('t');
  });

  test('is backed up to S3 over ssh, from where a standby is restored on its own host', async () => {
    await it().spoke('setup', 'archiving', '--confirm', 'main');
    const { backups } = await it().spoke<{ backups: readonly object[] }>('backup', '--type', 'full');
    expect(backups).toMatchObject([{ repository: 's3', type: 'full' }]);
    const done = await it().spoke('reseed', 'node-2', '--method', 'backup', '--from', 's3', '--confirm', 'main');
    expect(done).toMatchObject({ method: 'backup', source: { kind: 'repository', name: 's3' }, streaming: { timeline: 1 } });
    await expect.poll(streaming, PATIENCE).toBe('node-2\nnode-3');
    expect(await it().query('node-2', 'SHOW restore_command')).toContain('archive-get');
    expect(await it().query('node-2', 'SELECT id FROM marks')).toBe('1');
  });

  test('goes back to the instant before an accident as a whole, each host by its own spoke-backup', async () => {
    await it().query('node-1', 'INSERT INTO marks VALUES (2)');
    const target = await it().query('node-1', "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'");
    await it().query('node-1', 'DROP TABLE marks');
    await it().spoke('restore', '--to', target, '--in-place', '--no-backup', '--confirm', 'main');
    expect(await it().query('node-1', 'SELECT pg_is_in_recovery()')).toBe('f');
    await expect.poll(streaming, PATIENCE).toBe('node-2\nnode-3');
    for (const node of ['node-1', 'node-2', 'node-3'] as const)
      await expect.poll(() => it().query(node, 'SELECT id FROM marks ORDER BY id').catch(String), PATIENCE).toBe('1\n2');
    for (const node of ['node-2', 'node-3'] as const)
      expect(await it().query(node, 'SELECT received_tli FROM pg_stat_wal_receiver')).toBe('2');
  });
});
