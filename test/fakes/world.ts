import { addMicros, type Instant } from '../../src/domain/time/instant.ts';
import type { Pin } from '../../src/domain/retention/pin.ts';
import { SpokeError } from '../../src/errors.ts';
import type { BackupRequest, EngineVersion } from '../../src/ports/backup-engine.ts';
import type { FileOwner, ServerStart } from '../../src/ports/instance.ts';
import type { HeldLease } from '../../src/ports/lease.ts';
import type { RoleFacts } from '../../src/ports/server-setup.ts';
import type { ManagedService } from '../../src/ports/service-control.ts';
import { FakeFileSystem } from './file-system.ts';
import type { FakeHistory } from './history.ts';
import type { FakeBucket } from './object-store.ts';
import type { FakeRepository } from './repository.ts';
import { FakeServer } from './server.ts';
import type { FakeBouncer } from './setup.ts';

export const POSTGRES_USER: FileOwner = { uid: 101, gid: 110, name: 'postgres' };
export const ROOT_USER: FileOwner = { uid: 0, gid: 0, name: 'root' };

/** A server that a service manager looks after. */
export interface FakeService {
  readonly service: ManagedService;
  readonly start: ServerStart;
  /** Whether it is started when the machine boots. */
  readonly startsAtBoot: boolean;
}

/** A run on disk: lines as they were written; the last one may be torn. */
/** A lease lives as long as the process that took it. */
export interface FakeLease extends HeldLease {
  isAlive(): boolean;
}

export interface FakeStoredRun {
  readonly header: string;
  readonly lines: string[];
  torn: boolean;
}

export interface FakeWorldOptions {
  readonly history: FakeHistory;
  readonly repositories: readonly FakeRepository[];
  readonly currentUser?: FileOwner;
  readonly reusesInodes?: boolean;
  readonly engine?: EngineVersion;
}

/** One machine with its disks, its servers and the repositories it reaches. Time passes only where somebody sleeps. */
export class FakeWorld {
  readonly fs: FakeFileSystem;
  readonly history: FakeHistory;
  readonly repositories: readonly FakeRepository[];
  readonly servers = new Set<FakeServer>();
  readonly services: FakeService[] = [];
  readonly runs = new Map<string, FakeStoredRun>();
  readonly leases = new Map<number, FakeLease>();
  lastEpoch = 0;
  readonly cancelRequests = new Set<string>();
  /** By repository. */
  readonly buckets = new Map<string, FakeBucket>();
  /** By the URL of the admin console. */
  readonly bouncers = new Map<string, FakeBouncer>();
  /** By cluster. */
  readonly pins = new Map<string, readonly Pin[]>();
  /** What keeps the repositories, and what it can do. */
  readonly engine: EngineVersion;
  readonly currentUser: FileOwner;
  readonly installedMajors = new Set([15]);
  readonly mountPoints = new Set(['/']);
  readonly forbidden = new Set(['/', '/home', '/etc', '/usr']);
  freeBytes = 1_000_000_000_000n;
  /** Of all databases of the cluster. */
  databaseBytes = 1n << 30n;
  /** Of the engine's processes that outlived whoever started them. */
  readonly orphanedBackups: BackupRequest[] = [];
  /** Whether the engine's configuration on disk is the right one. */
  configurationIsCurrent = true;
  /** The data directory of the primary that writes `history`. */
  originIdentity: string | undefined;
  /** Of the standbys: slots live in the data directory, by its identity. */
  readonly #slots = new Map<string, Set<string>>();
  /** Slots that have lost WAL. */
  readonly lostSlots = new Set<string>();
  /** Of the role for replication, where the configuration gives one. */
  replicationPassword: string | undefined;
  /** Roles of the primary, by name. */
  readonly roles = new Map<string, RoleFacts>();
  /** Runs when a server that others can reach begins to take writes. */
  onPrimary: (server: FakeServer) => void = () => undefined;
  /** Runs after every change. */
  onChange: () => void = () => undefined;
  /** What must never happen and did. */
  readonly violations: string[] = [];
  /** Paths of data directories whose servers pushed WAL into the repositories, the origin's aside. */
  readonly archivedBy: string[] = [];
  #elapsedMicros = 0n;
  #startedAt: Instant;
  #nextPid = 5000;

  constructor(options: FakeWorldOptions) {
    this.fs = new FakeFileSystem({ reusesInodes: options.reusesInodes ?? true });
    this.history = options.history;
    this.repositories = options.repositories;
    this.engine = options.engine ?? { name: 'pgbackrest', version: '2.45' };
    this.currentUser = options.currentUser ?? POSTGRES_USER;
    this.#startedAt = addMicros(options.history.time, 60_000_000n);
    for (const path of ['/etc', '/tmp', '/var/lib/postgresql', '/home/someone']) this.fs.makeDirectory(path);
  }

  now(): Instant {
    return addMicros(this.#startedAt, this.#elapsedMicros);
  }

  elapsedMs(): number {
    return Number(this.#elapsedMicros) / 1000;
  }

  /** Time passes: servers go on with what they do. */
  advance(ms: number): void {
    this.#elapsedMicros += BigInt(Math.ceil(ms * 1000));
    const busy = [...this.servers].filter((server) => server.isBusy);
    for (const server of busy) server.tick();
    if (busy.length > 0) this.onChange();
  }

  startServer(start: ServerStart): FakeServer {
    const directory = this.fs.directory(start.dataDirectory);
    if (directory === undefined) throw new SpokeError('FILE_SYSTEM_FAILED', `${start.dataDirectory} is not there`);
    if (this.serverOn(directory.identity) !== undefined)
      throw new SpokeError('REFUSED_SERVER_RUNNING', `a server runs in ${start.dataDirectory}`);
    if (this.serverAt(start) !== undefined)
      throw new SpokeError('POSTGRES_FAILED', `port ${start.port} is in use in ${start.socketDirectory}`);
    if (this.fs.readFile(start.logFile) === undefined) this.fs.writeFile(start.logFile, '');
    const server = new FakeServer(this, this.#nextPid++, directory, start);
    this.servers.add(server);
    return server;
  }

  slotsOn(identity: string): Set<string> {
    const found = this.#slots.get(identity) ?? new Set<string>();
    this.#slots.set(identity, found);
    return found;
  }

  serverOn(identity: string): FakeServer | undefined {
    return [...this.servers].find((server) => server.directory.identity === identity);
  }

  serverAt(address: { readonly port: number; readonly socketDirectory: string }): FakeServer | undefined {
    return [...this.servers].find(({ start }) => start.port === address.port && start.socketDirectory === address.socketDirectory);
  }

  origin(): FakeServer | undefined {
    return [...this.servers].find((server) => server.isOrigin);
  }

  /** The power fails and comes back: no server has survived, some are started by their service managers. */
  crashMachine(): void {
    this.orphanedBackups.splice(0);
    for (const server of [...this.servers]) server.kill();
    for (const { start, startsAtBoot } of this.services) if (startsAtBoot) this.#startAtBoot(start);
    this.onChange();
  }

  #startAtBoot(start: ServerStart): void {
    try {
      this.startServer(start).tick();
    } catch (thrown) {
      if (!(thrown instanceof SpokeError)) throw thrown;
    }
  }

  /** Every file, directory and server as text, to see whether anything was changed. */
  snapshot(): Readonly<Record<string, string>> {
    const nodes = [...this.fs.walk()].map(([path, node]): [string, string] => {
      if (node.kind === 'directory') return [path, `${node.identity} ${node.owner.name}`];
      return [path, node.kind === 'file' ? node.content : `-> ${node.target}`];
    });
    const servers = [...this.servers].map(({ pid, phase, settings }): [string, string] => [
      `pid ${pid}`,
      `${phase} ${JSON.stringify(settings)}`,
    ]);
    const repositories = this.repositories.map((one): [string, string] => [
      one.name,
      `${one.initialised} ${JSON.stringify(one.backups.map(({ backup }) => [backup.label, backup.annotations]))} ${one.segments.size}`,
    ]);
    const runs = [...this.runs].map(([id, run]): [string, string] => [id, run.lines.join('')]);
    const pins = [...this.pins].map(([cluster, held]) => [cluster, held.map(({ repository, label }) => `${repository} ${label}`)]);
    const rest = JSON.stringify([pins, this.configurationIsCurrent, [...this.leases.keys()], String(this.history.insertLsn)]);
    return Object.fromEntries([...nodes, ...servers, ...repositories, ...runs, ['rest', rest]]);
  }
}
