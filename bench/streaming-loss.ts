import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { Client } from 'pg';
import { parseDocument } from 'yaml';
import { quantile } from './compare.ts';
import { describeMachine } from './report.ts';

const cli = join(import.meta.dirname, '../bin/spoke-backup');
const results = join(import.meta.dirname, 'results');
const WRITERS = 4;
const PAUSE_MS = 5;
const LOAD_SECONDS = { least: 3, most: 65 };

interface Lab {
  readonly directory: string;
  readonly config: string;
  readonly stateDirectory: string;
  readonly primary: { readonly dataDirectory: string; readonly port: number; readonly socketDirectory: string };
  readonly postgresVersion: string;
  readonly pgbackrestVersion: string;
}

interface Lost {
  readonly rows: number;
  /** From the acknowledgement of the first row that is not there to the kill; 0 where none is missing. */
  readonly ms: number;
}

/** What a restore to latest lacks of what was acknowledged, one disaster. */
interface Disaster {
  readonly loadSeconds: number;
  readonly acknowledged: number;
  /** From the archive alone, as without streaming. */
  readonly archive: Lost;
  /** From the repository: the machine of the primary is gone, and with it whatever was streamed there. */
  readonly tail: Lost;
  /** The data directory alone is gone, what was streamed to the machine is there. */
  readonly local: Lost;
}

interface Server {
  /** The directory of its socket. */
  readonly host: string;
  readonly port: number;
}

/** `scripts/node24 node bench/streaming-loss.ts [times]`: kills the primary under load and counts what a restore to latest lacks. */
async function main(times: number): Promise<void> {
  const lab = JSON.parse(await spoke(undefined, 'lab', 'up', '--nodes', '1', '--no-s3', '--json')) as Lab;
  try {
    await turnStreamingOn(lab);
    await query(serverOf(lab), 'CREATE TABLE ledger (n bigint PRIMARY KEY, note text NOT NULL)');
    const disasters: Disaster[] = [];
    for (let disaster = 0; disaster < times; disaster++) {
      disasters.push(await oneDisaster(lab, disaster));
      say(`${disaster + 1}/${times}: ${JSON.stringify(disasters.at(-1))}`);
    }
    write(lab, disasters);
  } finally {
    await spoke(undefined, 'lab', 'down', '--dir', lab.directory);
  }
}

async function turnStreamingOn({ config }: Lab): Promise<void> {
  const document = parseDocument(readFileSync(config, 'utf8'));
  document.setIn(['clusters', 'lab', 'wal'], { streaming: true });
  writeFileSync(config, document.toString());
  await spoke(config, 'setup', 'archiving', '--confirm', 'lab');
}

async function oneDisaster(lab: Lab, disaster: number): Promise<Disaster> {
  await spoke(lab.config, 'backup', '--type', 'full', '--quiet');
  const daemon = await startedDaemon(lab);
  const load = new Load(serverOf(lab), disaster);
  const loadSeconds = LOAD_SECONDS.least + Math.random() * (LOAD_SECONDS.most - LOAD_SECONDS.least);
  await load.run(loadSeconds * 1000);
  const killedAt = killAll(lab, daemon);
  await load.ended();
  await gone(lab);
  const stream = join(lab.stateDirectory, 'wal-stream');
  const tail = join(lab.directory, 'repository/spoke-backup');
  const local = await lostIn(lab, 'with-local', load, killedAt);
  renameSync(stream, `${stream}.gone`);
  renameSync(tail, `${tail}.gone`);
  const archive = await lostIn(lab, 'archive-only', load, killedAt);
  renameSync(`${tail}.gone`, tail);
  await spoke(lab.config, 'restore', '--to', 'latest', '--in-place', 'primary-1', '--confirm', 'lab', '--quiet');
  const withTail = load.lost(await numbers(serverOf(lab)), killedAt);
  rmSync(`${stream}.gone`, { recursive: true });
  return { loadSeconds: round(loadSeconds), acknowledged: load.count, archive, tail: withTail, local };
}

/** Rows that were acknowledged, by several clients, with the time by our clock. */
class Load {
  readonly #server: Server;
  readonly #first: number;
  readonly #acknowledged = new Map<number, number>();
  #isOver = false;
  #writers: Promise<void> = Promise.resolve();

  constructor(server: Server, disaster: number) {
    this.#server = server;
    this.#first = disaster * 10_000_000;
  }

  get count(): number {
    return this.#acknowledged.size;
  }

  async run(ms: number): Promise<void> {
    let next = this.#first;
    const writers = Array.from({ length: WRITERS }, async () => {
      const client = await connected(this.#server);
      try {
        while (!this.#isOver) {
          const n = next++;
          await client.query('INSERT INTO ledger VALUES ($1, repeat(md5($1::bigint::text), 4))', [n]);
          this.#acknowledged.set(n, performance.now());
          await pause(PAUSE_MS);
        }
      } catch {
        // The server is gone.
      }
    });
    this.#writers = Promise.all(writers).then(() => undefined);
    await pause(ms);
  }

  async ended(): Promise<void> {
    this.#isOver = true;
    await this.#writers;
  }

  lost(found: ReadonlySet<number>, killedAt: number): Lost {
    const missing = [...this.#acknowledged].filter(([n]) => !found.has(n)).map(([, at]) => at);
    return { rows: missing.length, ms: missing.length === 0 ? 0 : Math.max(0, Math.round(killedAt - Math.min(...missing))) };
  }
}

async function startedDaemon(lab: Lab): Promise<ChildProcess> {
  const daemon = spawn(cli, ['daemon', '--quiet'], { stdio: 'ignore', env: { ...process.env, SPOKE_BACKUP_CONFIG: lab.config } });
  const before = Date.now();
  const isStreaming = async () =>
    (await query(serverOf(lab), `SELECT 1 FROM pg_replication_slots WHERE slot_name = 'spoke_lab' AND active`)).length === 1 &&
    tailSince(lab, before);
  while (!(await isStreaming())) await pause(100);
  return daemon;
}

function tailSince(lab: Lab, since: number): boolean {
  try {
    const tails = join(lab.directory, 'repository/spoke-backup/lab/tail');
    const newest = readdirSync(tails).sort().at(-1) ?? '';
    const { atMicros } = JSON.parse(readFileSync(join(tails, newest, 'tail.json'), 'utf8')) as { atMicros: string };
    return Number(BigInt(atMicros) / 1000n) >= since;
  } catch {
    return false;
  }
}

/** As when the machine loses its power: the postmaster and all its children, and the daemon with its receiver. */
function killAll(lab: Lab, daemon: ChildProcess): number {
  const postmaster = Number(readFileSync(join(lab.primary.dataDirectory, 'postmaster.pid'), 'utf8').split('\n')[0]);
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === postmaster);
  const killedAt = performance.now();
  for (const pid of [postmaster, ...children.map(Number), daemon.pid ?? 0]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended with its parent.
    }
  }
  return killedAt;
}

function parentOf(pid: string): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}

/** Once nothing works on it any more: the archiver's child may have lived a moment longer. */
async function gone(lab: Lab): Promise<void> {
  rmSync(lab.primary.dataDirectory, { recursive: true, maxRetries: 10 });
  await pause(500);
}

async function lostIn(lab: Lab, name: string, load: Load, killedAt: number): Promise<Lost> {
  const directory = join(lab.directory, name);
  const { port, socketDirectory } = JSON.parse(
    await spoke(lab.config, 'restore', '--to', 'latest', '--data-directory', directory, '--json'),
  ) as { port: number; socketDirectory: string };
  const lost = load.lost(await numbers({ host: socketDirectory, port }), killedAt);
  const postmaster = Number(readFileSync(join(directory, 'postmaster.pid'), 'utf8').split('\n')[0]);
  process.kill(postmaster, 'SIGQUIT');
  while (parentOf(String(postmaster)) > 0) await pause(50);
  for (const path of [directory, socketDirectory]) rmSync(path, { recursive: true, force: true });
  return lost;
}

function serverOf({ primary }: Lab): Server {
  return { host: primary.socketDirectory, port: primary.port };
}

async function numbers(server: Server): Promise<ReadonlySet<number>> {
  return new Set((await query(server, 'SELECT n FROM ledger')).map(({ n }) => Number(n)));
}

async function query(server: Server, statement: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const client = await connected(server);
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}

async function connected({ host, port }: Server): Promise<Client> {
  const client = new Client({ host, port, user: 'postgres', database: 'postgres' });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

function write(lab: Lab, disasters: readonly Disaster[]): void {
  const machine = describeMachine({ postgres: lab.postgresVersion, pgbackrest: lab.pgbackrestVersion });
  const at = new Date().toISOString();
  writeFileSync(join(results, 'streaming-loss.json'), `${JSON.stringify({ schema: 1, at, machine, disasters }, null, 2)}\n`);
  const row = (what: string, of: (disaster: Disaster) => Lost) => {
    const [rows, ms] = [disasters.map((one) => of(one).rows), disasters.map((one) => of(one).ms)];
    return `| ${what} | ${quantile(rows, 0.5).toFixed(0)} | ${Math.max(...rows)} | ${quantile(ms, 0.5).toFixed(0)} ms | ${Math.max(...ms)} ms |`;
  };
  writeFileSync(
    join(results, 'streaming-loss.md'),
    `# What is lost with the primary

Measured ${at} by \`scripts/node24 node bench/streaming-loss.ts\`: ${disasters.length} times the primary is killed (SIGKILL) under load, with the daemon beside it, and its data
directory removed; then \`restore --to latest\` from a local pgBackRest repository, and what of the acknowledged rows is not there. ${WRITERS} clients commit a row each every ${PAUSE_MS} ms or so, for ${LOAD_SECONDS.least} to ${LOAD_SECONDS.most} s;
archive_timeout 60 s, tailSeconds 5. Each disaster is restored from in all three ways. Time is from the acknowledgement of the first row that is missing to the kill.
${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}, PostgreSQL ${machine.postgres}, pgBackRest ${machine.pgbackrest}; the machine is shared.

| restored from | rows lost, median | worst | time lost, median | worst |
|---|---|---|---|---|
${row('the archive alone (no streaming)', ({ archive }) => archive)}
${row('archive and streamed tail of the repository', ({ tail }) => tail)}
${row('the same, and what was streamed to this machine', ({ local }) => local)}
`,
  );
}

async function spoke(config: string | undefined, ...argv: string[]): Promise<string> {
  const env = config === undefined ? {} : { SPOKE_BACKUP_CONFIG: config };
  return (await execa(cli, argv, { cwd: '/', stdin: 'ignore', env })).stdout;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

await main(Number(process.argv[2] ?? 20));
