import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseLsn } from '../../src/domain/postgres/lsn.ts';
import { REPLICATION_RIGHTS } from '../../src/domain/setup/roles.ts';
import { type Row, Writer } from '../e2e/support/writer.ts';
import { ComposeCluster, type Service } from './support/compose-cluster.ts';

const PATIENCE = { timeout: 60_000, interval: 250 };
const NODES = ['node-1', 'node-2', 'node-3'] as const;
const ROWS = 25;
/** No row of the writer's has such a number. */
const ALONE = 1_000_000;
/** The daemon may be at work on the cluster. */
const IN_TURN = ['--confirm', 'main', '--wait', '5m'];

interface Change {
  readonly primary: Service;
  readonly timeline: number;
  readonly failures: readonly unknown[];
  readonly lostWal: { readonly fromLsn: string; readonly toLsn: string; readonly isExact: boolean };
}

interface Status {
  readonly nodes: readonly { readonly name: string; readonly state: string }[];
}

interface Findings {
  readonly findings: readonly object[];
}

/** Other primaries on other hosts while a client writes through PgBouncer; and one that lives where nobody reaches it. */
describe('the primary of docker-compose.yml', () => {
  let cluster: ComposeCluster | undefined;
  let writer: Writer | undefined;
  const it = () => {
    if (cluster === undefined) throw new Error('the cluster did not start');
    return cluster;
  };
  const writing = () => {
    if (writer === undefined) throw new Error('nobody writes');
    return writer;
  };

  beforeAll(async () => {
    cluster = await ComposeCluster.up();
    await it().spoke('setup', 'archiving', '--confirm', 'main');
    await it().spoke('setup', 'pgbouncer', '--apply');
    await it().query('node-1', 'CREATE TABLE acknowledged (n bigint PRIMARY KEY)');
    for (const signature of REPLICATION_RIGHTS.mayExecute)
      await it().query('node-1', `GRANT EXECUTE ON FUNCTION ${signature} TO replicator`);
    writer = new Writer(await it().urlThroughPgBouncer());
    writer.start();
    await writer.more(ROWS);
  }, 180_000);
  afterAll(async () => {
    const written = writer?.stop();
    // At once: its client may wait for a server that nobody reaches.
    await cluster?.down();
    await written;
  }, 90_000);

  const rowsOf = async (node: Service) => new Set((await it().query(node, 'SELECT n FROM acknowledged')).split('\n').map(Number));
  /** Nodes that take a write of a client that comes by the network: by trying, in a transaction that its end rolls back. */
  const writable = async () => {
    const tried = NODES.map((node) => it().isDone(node, 'CREATE TEMPORARY TABLE tried AS SELECT txid_current()'));
    const done = await Promise.all(tried);
    return NODES.filter((_, index) => done[index]);
  };
  const slotsInUse = (node: Service) => () =>
    it().query(node, "SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots WHERE active");

  test('moves to another host without a commit lost', async () => {
    // They lost it when it was restarted for archive_mode.
    await expect.poll(slotsInUse('node-1'), PATIENCE).toBe('node_2 node_3');
    const done = await it().spoke<Change>('switchover', '--to', 'node-2', '--no-backup', ...IN_TURN);
    expect(done).toMatchObject({ primary: 'node-2', timeline: 2, failures: [] });
    await writing().more(ROWS);
    const acknowledged = [...writing().acknowledged];
    const present = await rowsOf('node-2');
    expect(acknowledged.filter(({ n }) => !present.has(n))).toEqual([]);
    await expect.poll(slotsInUse('node-2'), PATIENCE).toBe('node_1 node_3');
    expect(await writable()).toEqual(['node-2']);
  });

  test('is not replaced while it lives where nobody reaches it, unless it is fenced', async () => {
    const failing = await it().fencingBy('/bin/false', '{node}');
    await it().disconnect('node-2');
    expect(await it().refusal('failover', ...IN_TURN)).toMatchObject({
      exitCode: 12,
      code: 'REFUSED_PRECONDITION',
      message: expect.stringContaining('node-2 does not answer, and may still accept writes'),
    });
    const unfenced = await it().refusal('failover', ...IN_TURN, '--config', failing);
    expect(unfenced).toMatchObject({ exitCode: 22, code: 'TOOL_FAILED', message: expect.stringContaining('/bin/false node-2') });
    await it().spoke('runs', 'cancel', String(unfenced.details['run']));
    expect(await writable()).toEqual([]);
  });

  test('is replaced once it is fenced, and loses what it took alone: all from where the run says, and nothing else', async () => {
    const alone: Row[] = [];
    for (const n of [ALONE, ALONE + 1]) {
      const insert = `INSERT INTO acknowledged VALUES (${n}) RETURNING pg_current_wal_insert_lsn()`;
      alone.push({ n, lsnBefore: parseLsn(await it().query('node-2', insert)) });
    }
    const before = [...writing().acknowledged, ...alone];
    const config = await it().fencingBy(...ComposeCluster.askConsole);
    const [done] = await Promise.all([it().spoke<Change>('failover', '--no-backup', ...IN_TURN, '--config', config), it().fence('node-2')]);
    expect(done).toMatchObject({ timeline: 3, failures: [], lostWal: { isExact: false } });
    // Its client does not wait for a server that nobody reaches.
    await writing().more(ROWS);
    const present = await rowsOf(done.primary);
    const from = parseLsn(done.lostWal.fromLsn);
    const lost = before.filter(({ n }) => !present.has(n)).map(({ n }) => n);
    expect(lost).toEqual(expect.arrayContaining(alone.map(({ n }) => n)));
    // A commit lies behind where the WAL ended right before it, and before where it ended before the next one.
    const commits = before.map(({ n, lsnBefore }, index) => ({ n, after: lsnBefore, until: before[index + 1]?.lsnBefore }));
    expect(commits.filter(({ n, until }) => !present.has(n) && until !== undefined && until <= from)).toEqual([]);
    expect(commits.filter(({ n, after }) => present.has(n) && after >= from)).toEqual([]);
    expect(await writable()).toEqual([done.primary]);
  });

  test('takes no writes when it is back in the network, whoever starts it, and rejoins by ssh', async () => {
    await it().reconnect('node-2');
    expect(await stateOf('node-2')).toBe('stopped');
    expect((await shown<Findings>('doctor')).findings).toContainEqual(
      expect.objectContaining({ severity: 'critical', message: expect.stringContaining('node-2') }),
    );
    await it().startServer('node-2');
    const [primary = 'node-1', ...others] = await writable();
    expect([primary, ...others]).toHaveLength(1);
    expect(primary).not.toBe('node-2');
    expect(await stateOf('node-2')).toBe('standby');
    const back = await it().spoke('rejoin', 'node-2', ...IN_TURN);
    expect(back).toMatchObject({ primary, method: 'rewind', streaming: { timeline: 3 } });
    await expect.poll(slotsInUse(primary), PATIENCE).toContain('node_2');
    const rows = await rowsOf('node-2');
    expect([ALONE, ALONE + 1].filter((n) => rows.has(n))).toEqual([]);
    expect(await writable()).toEqual([primary]);
  });

  /** What something says that has something critical to say. */
  const shown = async <T>(verb: string): Promise<T> => {
    const ran = await it().run('spoke-backup', 'spoke-backup', verb, '--json');
    expect(ran.exitCode, ran.stdout).toBe(3);
    return JSON.parse(ran.stdout) as T;
  };
  const stateOf = async (node: string) => (await shown<Status>('status')).nodes.find(({ name }) => name === node)?.state;
});
