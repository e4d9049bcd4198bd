import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { type Lsn, parseLsn } from '../../src/domain/postgres/lsn.ts';
import { type Lab, querySocket, useLab } from '../harness/lab.ts';

/** A client writes through PgBouncer all the time, and keeps outside what was acknowledged: the measure of what a change of the primary may lose. */
const theLab = useLab({ nodes: 3, s3: false });
const ONE_AT_A_TIME = { timeout: 240_000 };
const PASSWORD = 'of the console';
const POLL_MS = 20;

interface Change {
  readonly run: string;
  readonly primary: string;
  readonly timeline: number;
  readonly writeOutageSeconds: number;
  readonly failures: readonly unknown[];
  readonly lostWal?: { readonly fromLsn: string };
  readonly backup: { readonly labels: readonly string[] } | null;
}

/** A row that was acknowledged, and where the WAL ended right before its commit. */
interface Row {
  readonly n: number;
  readonly lsnBefore: Lsn;
}

/** Commits numbered rows until it is told to stop; connects anew where it is thrown out. */
class Writer {
  readonly acknowledged: Row[] = [];
  readonly faults: string[] = [];
  readonly #url: string;
  #stopped = false;
  #n = 0;
  #done: Promise<void> | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  start(): void {
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  /** Until it has written so many more. */
  async more(count: number): Promise<void> {
    const wanted = this.acknowledged.length + count;
    for (let tries = 0; this.acknowledged.length < wanted; tries += 1) {
      if (tries > 3000) throw new Error(`nothing is written any more: ${this.faults.at(-1) ?? ''}`);
      await delay(POLL_MS);
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const client = new Client({ connectionString: this.#url });
      client.on('error', () => undefined);
      try {
        await client.connect();
        await this.#writeBy(client);
      } catch (thrown) {
        this.faults.push(thrown instanceof Error ? thrown.message : String(thrown));
        await delay(POLL_MS);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }

  async #writeBy(client: Client): Promise<void> {
    while (!this.#stopped) {
      this.#n += 1;
      const insert = 'INSERT INTO acknowledged VALUES ($1) RETURNING pg_current_wal_insert_lsn() AS lsn';
      const { rows: returned } = await client.query<{ lsn: string }>(insert, [this.#n]);
      this.acknowledged.push({ n: this.#n, lsnBefore: parseLsn(returned[0]?.lsn ?? '') });
    }
  }
}

let bouncer: ChildProcess | undefined;
let begun: Writer | undefined;
let endpoints: string;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function configure(lab: Lab, place: string, port: number): Promise<void> {
  const { config, passwordFile } = lab.description;
  const document = parseDocument(await readFile(config, 'utf8'));
  await writeFile(join(place, 'console-password'), PASSWORD, { mode: 0o600 });
  document.setIn(['clusters', 'lab', 'replication'], {
    role: 'replicator',
    password: `\${file:${join(dirname(passwordFile), 'replicator-password')}}`,
  });
  document.setIn(['clusters', 'lab', 'endpoints'], { file: endpoints });
  document.setIn(
    ['clusters', 'lab', 'pgbouncer'],
    [
      {
        name: 'front',
        adminUrl: `postgresql://bouncer_admin:\${file:${join(place, 'console-password')}}@127.0.0.1:${port}/pgbouncer`,
        configFile: join(place, 'pgbouncer.ini'),
        userListFile: join(place, 'userlist.txt'),
        settings: { listen_addr: '127.0.0.1', unix_socket_dir: '' },
        databases: { app: { to: 'primary', database: 'postgres' }, reads: { to: 'standbys', database: 'postgres' } },
      },
    ],
  );
  await writeFile(config, document.toString());
}

beforeAll(async () => {
  const lab = theLab();
  const place = await lab.makeDirectory('front');
  const port = await freePort();
  endpoints = join(place, 'endpoints.env');
  await configure(lab, place, port);
  await lab.json('setup', 'pgbouncer', '--apply');
  const { uid, gid } = lab.owner;
  bouncer = spawn('pgbouncer', [join(place, 'pgbouncer.ini')], { uid, gid, stdio: 'ignore' });
  await querySocket(lab.primary, 'CREATE TABLE acknowledged (n bigint PRIMARY KEY)');
  await lab.backup('full');
  const password = (await readFile(join(dirname(lab.description.passwordFile), 'postgres-password'), 'utf8')).trim();
  const writer = new Writer(`postgresql://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/app`);
  begun = writer;
  writer.start();
  await writer.more(20);
}, 240_000);

afterAll(async () => {
  await begun?.stop();
  bouncer?.kill('SIGINT');
  if (bouncer?.exitCode === null) await once(bouncer, 'exit');
}, 60_000);

function theWriter(): Writer {
  if (begun === undefined) throw new Error('the writer is made in beforeAll');
  return begun;
}

async function rows(lab: Lab, node: string): Promise<ReadonlySet<number>> {
  const found = await querySocket<{ n: string }>(lab.node(node), 'SELECT n FROM acknowledged');
  return new Set(found.map(({ n }) => Number(n)));
}

async function inRecovery(lab: Lab): Promise<Readonly<Record<string, boolean>>> {
  const nodes = [lab.primary, ...lab.description.standbys];
  const answers = await Promise.all(nodes.map((node) => querySocket<{ r: boolean }>(node, 'SELECT pg_is_in_recovery() AS r')));
  return Object.fromEntries(nodes.map(({ name }, index) => [name, answers[index]?.[0]?.r ?? true]));
}

async function slots(lab: Lab, node: string): Promise<readonly string[]> {
  const found = await querySocket<{ slot_name: string }>(lab.node(node), 'SELECT slot_name FROM pg_replication_slots ORDER BY 1');
  return found.map(({ slot_name }) => slot_name);
}

async function expectNothingLost(lab: Lab, node: string, acknowledged: readonly Row[]): Promise<void> {
  const present = await rows(lab, node);
  expect(acknowledged.filter(({ n }) => !present.has(n))).toEqual([]);
}

test('a dry run of a switchover changes nothing', ONE_AT_A_TIME, async () => {
  const lab = theLab();
  const { plan } = await lab.json<{ plan: { steps: readonly { kind: string }[] } }>('switchover', '--to', 'replica-1', '--dry-run');
  expect(plan.steps.map(({ kind }) => kind)).toContain('promote-standby');
  expect(await inRecovery(lab)).toMatchObject({ 'replica-1': true, 'replica-2': true });
});

test('a switchover loses nothing that was acknowledged, throws nobody out, and all others follow', ONE_AT_A_TIME, async () => {
  const lab = theLab();
  const old = lab.primary.name;
  const done = await lab.json<Change>('switchover', '--to', 'replica-1', '--confirm', 'lab');
  expect(done).toMatchObject({ primary: 'replica-1', timeline: 2, failures: [] });
  expect(done.writeOutageSeconds).toBeGreaterThan(0);
  expect(done.backup?.labels).toHaveLength(1);
  await theWriter().more(20);
  expect(theWriter().faults).toEqual([]);
  await expectNothingLost(lab, 'replica-1', [...theWriter().acknowledged]);
  expect(await inRecovery(lab)).toEqual({ [old]: true, 'replica-1': false, 'replica-2': true });
  expect(await slots(lab, old)).toEqual([]);
  expect(await readFile(endpoints, 'utf8')).toContain(`SPOKE_POSTGRES_URL=postgresql://127.0.0.1:${lab.node('replica-1').port}/`);
});

test('and back again', ONE_AT_A_TIME, async () => {
  const lab = theLab();
  const done = await lab.json<Change>('switchover', '--to', lab.primary.name, '--confirm', 'lab', '--no-backup');
  expect(done).toMatchObject({ primary: lab.primary.name, timeline: 3, failures: [], backup: null });
  await theWriter().more(20);
  expect(theWriter().faults).toEqual([]);
  await expectNothingLost(lab, lab.primary.name, [...theWriter().acknowledged]);
});

test('a failover is refused while the primary answers', ONE_AT_A_TIME, async () => {
  const lab = theLab();
  expect(await lab.error('failover', '--confirm', 'lab')).toMatchObject({ code: 'REFUSED_PRECONDITION', exitCode: 12 });
});

test('a failover fences the old primary, and loses at most what it said', ONE_AT_A_TIME, async () => {
  const lab = theLab();
  await lab.stop(lab.primary.dataDirectory, 'immediate');
  const before = [...theWriter().acknowledged];
  const done = await lab.json<Change>('failover', '--confirm', 'lab', '--no-backup');
  expect(done.failures).toEqual([]);
  await theWriter().more(20);
  const present = await rows(lab, done.primary);
  // A row is within what the new primary had where the next one, which begins after its commit, still is.
  const kept = parseLsn(done.lostWal?.fromLsn ?? '');
  const lostThough = before.filter(({ n }, index) => !present.has(n) && (before[index + 1]?.lsnBefore ?? kept + 1n) <= kept);
  expect(lostThough).toEqual([]);
  await expect(readFile(join(lab.primary.dataDirectory, 'standby.signal'), 'utf8')).resolves.toBe('');
  expect(await lab.isRunning(lab.primary.dataDirectory)).toBe(false);
});
