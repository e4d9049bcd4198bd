import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { parseDocument } from 'yaml';
import { quantile } from './compare.ts';
import { cli, type Lab, psql, run, say } from './lab.ts';

const WRITERS = 4;
const SETTLED_MS = 500;

/** A lab with two standbys and PgBouncer in front, as the tool sets it up. */
export interface SwitchoverLab {
  readonly lab: Lab & { readonly standbys: readonly { readonly name: string }[]; readonly passwordFile: string };
  /** Through PgBouncer. */
  readonly url: string;
  close(): Promise<void>;
}

/** Run by itself: `scripts/node24 node bench/switchover.ts [10]`. */
export async function openSwitchoverLab(): Promise<SwitchoverLab> {
  const lab = JSON.parse((await run(cli, ['lab', 'up', '--nodes', '3', '--no-s3', '--json'])).stdout) as SwitchoverLab['lab'];
  process.env['SPOKE_BACKUP_CONFIG'] = lab.config;
  const place = join(lab.directory, 'front');
  const { uid, gid } = statSync(lab.primary.dataDirectory);
  mkdirSync(place, { mode: 0o700 });
  chownSync(place, uid, gid);
  const port = await freePort();
  configure(lab, place, port);
  await run(cli, ['setup', 'pgbouncer', '--apply']);
  const bouncer = spawn('pgbouncer', [join(place, 'pgbouncer.ini')], { uid, gid, stdio: 'ignore' });
  await psql(lab, 'CREATE TABLE written (at timestamptz)');
  const password = readFileSync(join(dirname(lab.passwordFile), 'postgres-password'), 'utf8').trim();
  return {
    lab,
    url: `postgresql://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/app`,
    async close() {
      await ended(bouncer);
      await run(cli, ['lab', 'down', '--dir', lab.directory]);
    },
  };
}

function configure(lab: SwitchoverLab['lab'], place: string, port: number): void {
  const document = parseDocument(readFileSync(lab.config, 'utf8'));
  writeFileSync(join(place, 'console-password'), 'of the console', { mode: 0o600 });
  const password = `\${file:${join(dirname(lab.passwordFile), 'replicator-password')}}`;
  document.setIn(['clusters', 'lab', 'replication'], { role: 'replicator', password });
  const bouncer = {
    name: 'front',
    adminUrl: `postgresql://bouncer_admin:\${file:${join(place, 'console-password')}}@127.0.0.1:${port}/pgbouncer`,
    configFile: join(place, 'pgbouncer.ini'),
    userListFile: join(place, 'userlist.txt'),
    settings: { listen_addr: '127.0.0.1', unix_socket_dir: '' },
    databases: { app: { to: 'primary', database: 'postgres' } },
  };
  document.setIn(['clusters', 'lab', 'pgbouncer'], [bouncer]);
  writeFileSync(lab.config, document.toString());
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function ended(child: ChildProcess): Promise<void> {
  child.kill('SIGINT');
  if (child.exitCode === null) await once(child, 'exit');
}

/**
 * The longest time between two acknowledged commits of all writers together while `change` runs: what clients have seen of it, whatever
 * the one that changes says himself. `urls`: tried in turn where a connection breaks, as clients with several hosts do.
 */
export async function writeOutageDuring(urls: readonly string[], change: () => Promise<unknown>): Promise<number> {
  const commits: number[] = [];
  const state = { isOver: false };
  const writers = Array.from({ length: WRITERS }, () => write(urls, commits, () => state.isOver));
  while (commits.length < 2 * WRITERS) await delay(10);
  await change();
  await delay(SETTLED_MS);
  state.isOver = true;
  await Promise.all(writers);
  return Math.max(...commits.slice(1).map((at, index) => at - (commits[index] ?? at))) / 1000;
}

async function write(urls: readonly string[], commits: number[], isOver: () => boolean): Promise<void> {
  for (let attempt = 0; !isOver(); attempt += 1) {
    const client = new Client({ connectionString: urls[attempt % urls.length], connectionTimeoutMillis: 2000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      while (!isOver()) {
        await client.query('INSERT INTO written VALUES (clock_timestamp())');
        commits.push(performance.now());
      }
    } catch {
      await delay(10);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

/** Hands over to the next node in turn; the seconds in which no client could write. The backup afterwards is no part of it. */
export async function switchoverOurs({ lab, url }: SwitchoverLab, repetition: number): Promise<number> {
  const nodes = ['primary-1', ...lab.standbys.map(({ name }) => name)];
  const to = nodes[(repetition + 1) % nodes.length] ?? '';
  return writeOutageDuring([url], () => run(cli, ['switchover', '--to', to, '--confirm', 'lab', '--no-backup', '--quiet', '--json']));
}

async function main(repetitions: number): Promise<void> {
  const opened = await openSwitchoverLab();
  try {
    const seconds: number[] = [];
    for (let repetition = 0; repetition < repetitions; repetition += 1) {
      seconds.push(await switchoverOurs(opened, repetition));
      say(`switchover ${repetition + 1}/${repetitions}: ${seconds.at(-1)?.toFixed(3)} s`);
    }
    const [low, median, high] = [0.25, 0.5, 0.75].map((q) => quantile(seconds, q).toFixed(3));
    say(`write outage of a switchover: median ${median} s (quartiles ${low} … ${high})`);
  } finally {
    await opened.close();
  }
}

if (import.meta.main) await main(Number(process.argv[2] ?? 10));
