import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ComposeCluster } from './support/compose-cluster.ts';

const PATIENCE = { timeout: 60_000, interval: 250 };

describe('a host of docker-compose.yml', () => {
  let cluster: ComposeCluster | undefined;
  const it = () => {
    if (cluster === undefined) throw new Error('the cluster did not start');
    return cluster;
  };
  beforeAll(async () => {
    cluster = await ComposeCluster.up();
  }, 180_000);
  afterAll(() => cluster?.down(), 60_000);

  const reachesPrimary = async () => (await it().run('node-2', 'pg_isready', '--host=node-1', '--timeout=2')).exitCode === 0;
  const replays = (id: number) =>
    expect.poll(() => it().query('node-2', `SELECT count(*) FROM cuts WHERE id = ${id}`).catch(String), PATIENCE).toBe('1');
  const write = (id: number) => it().query('node-1', `INSERT INTO cuts VALUES (${id})`);

  test('that is unplugged runs on unreached, and catches up once it is plugged in again', async () => {
    await it().query('node-1', 'CREATE TABLE cuts (id int PRIMARY KEY)');
    await write(0);
    await replays(0);
    await it().disconnect('node-2');
    expect(await reachesPrimary()).toBe(false);
    await write(1);
    expect(await it().query('node-2', 'SELECT max(id) FROM cuts')).toBe('0');
    await it().reconnect('node-2');
    await replays(1);
  });

  test('that is frozen answers nobody until it goes on', async () => {
    await it().pause('node-1');
    expect(await reachesPrimary()).toBe(false);
    await it().unpause('node-1');
    await expect.poll(reachesPrimary, PATIENCE).toBe(true);
    await write(2);
    await replays(2);
  });

  test('whose power fails has everything that was committed when it boots', async () => {
    await write(3);
    await it().kill('node-1');
    expect(await reachesPrimary()).toBe(false);
    await it().boot('node-1');
    await expect.poll(reachesPrimary, PATIENCE).toBe(true);
    expect(await it().query('node-1', 'SELECT max(id) FROM cuts')).toBe('3');
    await write(4);
    await replays(4);
  });
});
