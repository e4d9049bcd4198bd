import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { stringify } from 'yaml';
import { createProcessRunner } from '../../src/adapters/process/index.ts';
import { makeCertificate } from '../../src/lab/s3-server/certificate.ts';
import { claimPorts, releasePorts } from '../../src/lab/claim-ports.ts';
import { type Account, outputOf, runProgram } from './cli.ts';
import { newestInstallation } from './postgres.ts';

const PATIENCE_MS = 60_000;
const POLL_MS = 100;
/** Patroni's least, so that tests do not wait: it looks once a second. */
const QUICK = { ttl: 20, loop_wait: 1, retry_timeout: 3 };

/** All that patronictl itself can send: it takes other letters for ISO 8859-1, and the API for UTF-8. */
export const PATRONI_USER = { user: 'spoke', password: 'of the "API" \\ 100% #1' };
export const SUPERUSER_PASSWORD = 'secret';

/** A member of the cluster, with its PostgreSQL and its REST API. */
export interface PatroniNode {
  readonly name: string;
  readonly dataDirectory: string;
  readonly port: number;
  readonly apiPort: number;
}

export interface PatroniOptions {
  /** 3 where it is not given. */
  readonly members?: number;
  /** Of PostgreSQL, in the dynamic configuration from the start on. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Whether the REST API speaks TLS, by an authority of its own. */
  readonly tls?: boolean;
  /** Seconds, as `bootstrap.dcs` has them; Patroni's least where they are not given. */
  readonly pace?: { readonly ttl: number; readonly loop_wait: number; readonly retry_timeout: number };
}

/** etcd and Patroni from the system's packages, on loopback, in a directory of their own; each member with its PostgreSQL. */
export class PatroniCluster {
  readonly scope = 'lab';
  readonly nodes: readonly PatroniNode[];
  readonly directory: string;
  readonly owner: Account;
  readonly binDirectory: string;
  /** Where the REST API speaks TLS: who signed its certificate. */
  readonly caFile: string | undefined;
  readonly #etcd: Daemon;
  readonly #patronis: ReadonlyMap<string, Daemon>;

  private constructor(place: Place, etcd: Daemon, patronis: ReadonlyMap<string, Daemon>) {
    this.directory = place.directory;
    this.nodes = place.nodes;
    this.owner = place.owner;
    this.binDirectory = place.binDirectory;
    this.caFile = place.caFile;
    this.#etcd = etcd;
    this.#patronis = patronis;
  }

  /** Resolves once there is a leader and everybody else streams from it. `directory`: absent, and short; it is made. */
  static async start(directory: string, options: PatroniOptions = {}): Promise<PatroniCluster> {
    const place = await preparePlace(directory, options);
    const etcd = new Daemon('etcd', etcdArguments(place), place);
    const patronis = new Map(place.nodes.map(({ name }) => [name, new Daemon('patroni', [configurationOf(place, name)], place, name)]));
    const cluster = new PatroniCluster(place, etcd, patronis);
    try {
      await etcd.start();
      // The first initialises the cluster: who wins that is no matter of chance then.
      const [first, ...others] = place.nodes.map(({ name }) => name);
      await cluster.startMember(first ?? '');
      await cluster.untilLeader(first ?? '');
      await Promise.all(others.map((name) => cluster.startMember(name)));
      await cluster.untilAllStream();
      return cluster;
    } catch (thrown) {
      await cluster.stop();
      throw thrown;
    }
  }

  get urls(): readonly string[] {
    return this.nodes.map(({ apiPort }) => this.url(apiPort));
  }

  url(apiPort: number): string {
    return `${this.caFile === undefined ? 'http' : 'https'}://127.0.0.1:${apiPort}`;
  }

  node(name: string): PatroniNode {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`there is no member ${name}`);
    return found;
  }

  /** To the database postgres of each, as the superuser. */
  postgresUrl({ port }: PatroniNode): string {
    return `postgresql://postgres:${SUPERUSER_PASSWORD}@127.0.0.1:${port}/postgres`;
  }

  socketDirectory({ name }: PatroniNode): string {
    return join(this.directory, name);
  }

  startMember(name: string): Promise<void> {
    return this.#daemon(name).start();
  }

  /** Cleanly: it stops its PostgreSQL, too, unless the cluster is paused. */
  stopMember(name: string): Promise<void> {
    return this.#daemon(name).stop('SIGTERM');
  }

  /** PostgreSQL alone: its Patroni sees it. */
  crashServer(name: string): Promise<void> {
    return this.#stopPostgres(this.node(name), 'immediate');
  }

  stopEtcd(): Promise<void> {
    return this.#etcd.stop('SIGTERM');
  }

  startEtcd(): Promise<void> {
    return this.#etcd.start();
  }

  /** As patronictl prints it, without this program. */
  async list(): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const configuration = join(this.directory, `${this.nodes[0]?.name ?? ''}.yml`);
    const listed = await outputOf('patronictl', ['-c', configuration, 'list', '-f', 'json'], { account: this.owner });
    return JSON.parse(listed) as Readonly<Record<string, unknown>>[];
  }

  /** Puts settings into the section postgresql of every member's configuration, and has it read them again. */
  async configureMembers(change: (name: string) => Readonly<Record<string, unknown>>): Promise<void> {
    for (const { name } of this.nodes) {
      const path = join(this.directory, `${name}.yml`);
      const before = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as Record<string, object>;
      const postgresql = { ...before['postgresql'], ...change(name) };
      writeConfiguration(path, { ...before, postgresql }, this.owner);
      this.#daemon(name).signal('SIGHUP');
    }
  }

  /** Changes the dynamic configuration, without this program. */
  async editConfiguration(change: Readonly<Record<string, unknown>>): Promise<void> {
    const { user, password } = PATRONI_USER;
    const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    const answer = await fetch(`${this.urls[0] ?? ''}/config`, {
      method: 'PATCH',
      headers: { authorization },
      body: JSON.stringify(change),
    });
    if (!answer.ok) throw new Error(`PATCH /config: ${answer.status} ${await answer.text()}`);
  }

  /** By patronictl, without this program. */
  async switchover(candidate: string): Promise<void> {
    const configuration = join(this.directory, `${this.nodes[0]?.name ?? ''}.yml`);
    const leader = (await this.list()).find((one) => one['Role'] === 'Leader')?.['Member'];
    const argv = ['-c', configuration, 'switchover', this.scope, '--master', String(leader), '--candidate', candidate, '--force'];
    const said = await outputOf('patronictl', argv, { account: this.owner });
    if (!said.includes('Successfully')) throw new Error(said);
  }

  /** One statement as superuser. */
  async sql<Row extends object>(name: string, statement: string): Promise<Row[]> {
    const client = new Client({ connectionString: this.postgresUrl(this.node(name)) });
    await client.connect();
    try {
      return (await client.query<Row>(statement)).rows;
    } finally {
      await client.end();
    }
  }

  untilLeader(name: string): Promise<void> {
    return this.until(`${name} leads`, (members) => members.some((one) => one['Member'] === name && one['Role'] === 'Leader'));
  }

  untilAllStream(): Promise<void> {
    // By the leader's word: `running` Patroni calls also who waits for his slot.
    return this.until('everybody streams', async (members) => {
      const leader = members.find((one) => one['Role'] === 'Leader')?.['Member'];
      if (leader === undefined) return false;
      const streaming = "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'";
      const found = new Set((await this.sql(String(leader), streaming)).map(Object.values).flat());
      // One may stream, and not let anybody in yet.
      await Promise.all(this.nodes.map(({ name }) => this.sql(name, 'SELECT 1')));
      return found.size === this.nodes.length - 1;
    });
  }

  /** Until the members are so, as patronictl lists them. */
  async until(what: string, holds: (members: Members) => boolean | Promise<boolean>): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const members = await this.list().catch(() => []);
      if (await Promise.resolve(holds(members)).catch(() => false)) return;
      if (performance.now() > deadline)
        throw new Error(`waited in vain until ${what}: ${JSON.stringify(members)}\n${this.logOf(this.nodes[0]?.name ?? '')}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  logOf(name: string): string {
    const path = join(this.directory, `${name}.log`);
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(-40).join('\n') : '';
  }

  /** Ends everything that was started, also where the cluster is paused, and removes the directory. */
  async stop(): Promise<void> {
    await Promise.all([...this.#patronis.values()].map((daemon) => daemon.stop('SIGTERM')));
    for (const node of this.nodes) await this.#stopPostgres(node, 'immediate');
    await this.#etcd.stop('SIGTERM');
    await releasePorts(this.directory);
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #stopPostgres({ dataDirectory }: PatroniNode, mode: string): Promise<void> {
    if (!existsSync(join(dataDirectory, 'postmaster.pid'))) return;
    await runProgram(join(this.binDirectory, 'pg_ctl'), ['stop', '-w', '-s', '-D', dataDirectory, '-m', mode], { account: this.owner });
  }

  #daemon(name: string): Daemon {
    const found = this.#patronis.get(name);
    if (found === undefined) throw new Error(`there is no member ${name}`);
    return found;
  }
}

type Members = readonly Readonly<Record<string, unknown>>[];

/** A program that stays, as the account of the servers, with its output in a file. */
class Daemon {
  readonly #program: string;
  readonly #argv: readonly string[];
  readonly #place: Place;
  readonly #log: string;
  #child: ChildProcess | undefined;

  constructor(program: string, argv: readonly string[], place: Place, name = program) {
    this.#program = program;
    this.#argv = argv;
    this.#place = place;
    this.#log = join(place.directory, `${name}.log`);
  }

  /** Resolves once it runs, which is not yet to say that it serves. */
  async start(): Promise<void> {
    const { owner, directory } = this.#place;
    const log = openSync(this.#log, 'a', 0o644);
    const account = process.getuid?.() === 0 ? { uid: owner.uid, gid: owner.gid } : {};
    const env = { ...process.env, HOME: directory, PYTHONWARNINGS: 'ignore' };
    this.#child = spawn(this.#program, this.#argv, { ...account, env, cwd: directory, stdio: ['ignore', log, log] });
    closeSync(log);
    await once(this.#child, 'spawn');
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}

interface Place {
  readonly directory: string;
  readonly owner: Account;
  readonly binDirectory: string;
  readonly nodes: readonly PatroniNode[];
  readonly etcdPorts: readonly [number, number];
  readonly caFile: string | undefined;
}

async function preparePlace(directory: string, options: PatroniOptions): Promise<Place> {
  const owner = await ownerOfServers();
  const makeDirectory = (path: string) => {
    mkdirSync(path, { mode: 0o700 });
    chownSync(path, owner.uid, owner.gid);
  };
  makeDirectory(directory);
  const { binDirectory } = await newestInstallation();
  const count = options.members ?? 3;
  const [client = 0, peer = 0, ...ports] = await claimPorts(directory, 2 + 2 * count);
  const nodes = Array.from({ length: count }, (_, index) => ({
    name: `node-${index + 1}`,
    dataDirectory: join(directory, `node-${index + 1}`, 'data'),
    port: ports[2 * index] ?? 0,
    apiPort: ports[2 * index + 1] ?? 0,
  }));
  for (const { name } of nodes) makeDirectory(join(directory, name));
  const certificate = options.tls === true ? await certificateIn(directory, owner) : undefined;
  const place = { directory, owner, binDirectory, nodes, etcdPorts: [client, peer] as const, caFile: certificate?.caFile };
  for (const node of nodes)
    writeConfiguration(
      configurationOf(place, node.name),
      patroniConfiguration(place, node, certificate, { pace: QUICK, ...options }),
      owner,
    );
  return place;
}

function configurationOf({ directory }: Place, name: string): string {
  return join(directory, `${name}.yml`);
}

/** Also as JSON, to be changed. It holds passwords. */
function writeConfiguration(path: string, configuration: object, { uid, gid }: Account): void {
  for (const [file, text] of [
    [path, stringify(configuration)],
    [`${path}.json`, JSON.stringify(configuration)],
  ] as const) {
    writeFileSync(file, text, { mode: 0o600 });
    chownSync(file, uid, gid);
  }
}

type Certificate = Awaited<ReturnType<typeof makeCertificate>>;

async function certificateIn(directory: string, { uid, gid }: Account): Promise<Certificate> {
  const path = join(directory, 'tls');
  mkdirSync(path, { mode: 0o755 });
  const signal = new AbortController().signal;
  const certificate = await makeCertificate(path, { processes: createProcessRunner(), signal, report: () => undefined });
  for (const file of [certificate.certificateFile, certificate.keyFile]) chownSync(file, uid, gid);
  return certificate;
}

function etcdArguments({ directory, etcdPorts: [client, peer] }: Place): readonly string[] {
  const [clients, peers] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
  return [
    '--name=etcd',
    `--data-dir=${join(directory, 'etcd')}`,
    `--listen-client-urls=${clients}`,
    `--advertise-client-urls=${clients}`,
    `--listen-peer-urls=${peers}`,
    `--initial-advertise-peer-urls=${peers}`,
    `--initial-cluster=etcd=${peers}`,
  ];
}

function patroniConfiguration(
  { directory, binDirectory, etcdPorts }: Place,
  { name, dataDirectory, port, apiPort }: PatroniNode,
  certificate: Certificate | undefined,
  { pace, parameters }: Pick<PatroniOptions, 'pace' | 'parameters'>,
): object {
  const account = (username: string) => ({ username, password: SUPERUSER_PASSWORD });
  const { user: username, password } = PATRONI_USER;
  return {
    scope: 'lab',
    name,
    restapi: {
      listen: `127.0.0.1:${apiPort}`,
      connect_address: `127.0.0.1:${apiPort}`,
      authentication: { username, password },
      ...(certificate === undefined ? {} : { certfile: certificate.certificateFile, keyfile: certificate.keyFile }),
    },
    ...(certificate === undefined ? {} : { ctl: { cacert: certificate.caFile } }),
    etcd3: { hosts: [`127.0.0.1:${etcdPorts[0]}`] },
    bootstrap: {
      dcs: {
        ...pace,
        maximum_lag_on_failover: 1024 ** 2,
        postgresql: { use_pg_rewind: true, use_slots: true, parameters: { wal_log_hints: 'on', fsync: 'off', ...parameters } },
      },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C' }, 'no-sync'],
    },
    postgresql: {
      listen: `127.0.0.1:${port}`,
      connect_address: `127.0.0.1:${port}`,
      data_dir: dataDirectory,
      bin_dir: binDirectory,
      pgpass: join(directory, `${name}.pgpass`),
      authentication: { superuser: account('postgres'), replication: account('replicator'), rewind: account('rewinder') },
      parameters: { unix_socket_directories: join(directory, name), password_encryption: 'scram-sha-256' },
      pg_hba: ['local all all trust', 'host replication replicator 127.0.0.1/32 scram-sha-256', 'host all all 127.0.0.1/32 scram-sha-256'],
      basebackup: { checkpoint: 'fast' },
    },
  };
}

/** Whom the servers run as: postgres where we are root. */
async function ownerOfServers(): Promise<Account> {
  const [own] = [{ name: process.env['USER'] ?? '', uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }];
  if (own.uid !== 0) return own;
  const id = async (option: string) => Number(await outputOf('id', [option, 'postgres']));
  return { name: 'postgres', uid: await id('-u'), gid: await id('-g') };
}
