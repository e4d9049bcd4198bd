import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { parseDocument } from 'yaml';
import { PatroniCluster } from '../test/harness/patroni.ts';
import { writeOutageDuring } from '../test/harness/write-outage.ts';
import { quantile } from './compare.ts';
import { cli, type Lab, psql, run, say } from './lab.ts';
import { describeMachine, type Machine } from './report.ts';

/** A lab with two standbys and PgBouncer in front, as the tool sets it up. */
export interface SwitchoverLab {
  readonly lab: Lab & { readonly standbys: readonly { readonly name: string }[]; readonly passwordFile: string };
  /** Through PgBouncer. */
  readonly url: string;
  close(): Promise<void>;
}

const RESULTS = join(import.meta.dirname, 'results');

interface Seconds {
  readonly ours: number[];
  readonly patroni: number[];
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
  await psql(lab, 'CREATE TABLE written (n bigserial PRIMARY KEY)');
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

/** Hands over to the next node in turn; the seconds in which no client could write. The backup afterwards is no part of it. */
export async function switchoverOurs({ lab, url }: SwitchoverLab, repetition: number): Promise<number> {
  const nodes = ['primary-1', ...lab.standbys.map(({ name }) => name)];
  const to = nodes[(repetition + 1) % nodes.length] ?? '';
  const change = () => run(cli, ['switchover', '--to', to, '--confirm', 'lab', '--no-backup', '--quiet', '--json']);
  return (await writeOutageDuring([url], change)).seconds;
}

/** Three nodes under Patroni with its own pace (loop_wait 10 s, ttl 30 s), whose clients know all of them. */
export async function openPatroniLab(): Promise<PatroniCluster> {
  const cluster = await PatroniCluster.start(join(tmpdir(), `patroni-${process.pid}`), {
    pace: { ttl: 30, loop_wait: 10, retry_timeout: 10 },
  });
  await cluster.sql('node-1', 'CREATE TABLE written (n bigserial PRIMARY KEY)');
  return cluster;
}

/** The same by patronictl, without us. */
export async function switchoverByPatroni(cluster: PatroniCluster, repetition: number): Promise<number> {
  const { nodes } = cluster;
  const to = nodes[(repetition + 1) % nodes.length]?.name ?? '';
  const urls = nodes.map((node) => cluster.postgresUrl(node));
  const { seconds } = await writeOutageDuring(urls, () => cluster.switchover(to));
  await cluster.untilAllStream();
  return seconds;
}

/** One after the other in turn, so that whatever the machine does meanwhile meets both. */
async function main(repetitions: number): Promise<void> {
  const ours = await openSwitchoverLab();
  const patroni = await openPatroniLab();
  try {
    const seconds: Seconds = { ours: [], patroni: [] };
    for (let repetition = 0; repetition < repetitions; repetition += 1) {
      seconds.ours.push(await switchoverOurs(ours, repetition));
      seconds.patroni.push(await switchoverByPatroni(patroni, repetition));
      const [one, other] = [seconds.ours.at(-1)?.toFixed(3), seconds.patroni.at(-1)?.toFixed(3)];
      say(`switchover ${repetition + 1}/${repetitions}: ${one} s, by Patroni ${other} s`);
    }
    write(describeMachine({ postgres: ours.lab.postgresVersion, pgbackrest: ours.lab.pgbackrestVersion }), seconds);
  } finally {
    await patroni.stop();
    await ours.close();
  }
}

/** One JSON document and one page for people. */
function write(machine: Machine, seconds: Seconds): void {
  const at = new Date().toISOString();
  const row = (what: string, all: readonly number[]) => {
    const [low, median, high] = [0.25, 0.5, 0.75].map((q) => quantile(all, q).toFixed(2));
    return `| ${what} | ${median} s | ${low} … ${high} s | ${Math.max(...all).toFixed(2)} s |`;
  };
  const page = `# How long nobody can write during a switchover

Measured ${at} by \`scripts/node24 node bench/switchover.ts\`: ${seconds.ours.length} switchovers each, in turn, between three nodes with a client that writes all the time; from the last
acknowledged write before to the first one after. Ours: the lab, clients behind PgBouncer. Patroni: three nodes and etcd (loop_wait 10 s, ttl 30 s), asked by patronictl
without this program, clients that know all three nodes.
${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}, PostgreSQL ${machine.postgres}; the machine is shared.

| switchover by | median | quartiles | worst |
|---|---|---|---|
${row('spoke-backup', seconds.ours)}
${row('Patroni', seconds.patroni)}
`;
  writeFileSync(join(RESULTS, 'switchover.json'), `${JSON.stringify({ schema: 1, at, machine, seconds }, null, 2)}\n`);
  writeFileSync(join(RESULTS, 'switchover.md'), page);
  say(page);
}

if (import.meta.main) await main(Number(process.argv[2] ?? 10));
