import { type Lsn, lsnOf } from '../../src/domain/postgres/lsn.ts';
import type { SystemIdentifier } from '../../src/domain/postgres/system-identifier.ts';
import { timelineIdOf } from '../../src/domain/postgres/timeline.ts';
import { slotOf } from '../../src/domain/topology/slot-name.ts';
import type { ReplicationFacts } from '../../src/domain/topology/replication-facts.ts';
import type { ServerObservation } from '../../src/ports/postgres-server.ts';
import { readControl, updateControl, writeDataDirectory } from '../fakes/data-directory.ts';
import { type FakeWorld, POSTGRES_USER } from '../fakes/world.ts';

const BASE = 0x3000000n;
const RECORD_BYTES = 0x100n;
const HOST = '127.0.0.1';

/** A record of the WAL: a commit of a client by its number, or one that a server writes for itself. */
type WalRecord = number | 'shutdown' | `timeline ${number}`;

/** A server of the cluster: its WAL is all that it has. Standbys have what those have had that they follow, as far as it is the same history. */
export class Node {
  readonly name: string;
  readonly port: number;
  readonly dataDirectory: string;
  isRunning = false;
  isPrimary = false;
  wal: WalRecord[] = [];
  settings: Record<string, string> = {};
  readonly slots = new Set<string>();
  readonly #world: FakeWorld;
  readonly #cluster: Nodes;

  constructor(name: string, port: number, world: FakeWorld, cluster: Nodes) {
    this.name = name;
    this.port = port;
    this.dataDirectory = `/srv/${name}`;
    this.#world = world;
    this.#cluster = cluster;
    const control = { systemIdentifier: String(cluster.systemIdentifier), timeline: 1, state: 'in production', redo: '0/3000000' };
    writeDataDirectory(world.fs, this.dataDirectory, {
      control: { ...control, consistentAt: control.redo },
      content: { lsn: control.redo, timeline: 1 },
      owner: POSTGRES_USER,
      postgresqlConf: '',
    });
  }

  get signalFile(): string {
    return `${this.dataDirectory}/standby.signal`;
  }

  get identity(): string {
    return this.#world.fs.directory(this.dataDirectory)?.identity ?? '';
  }

  get timeline(): number {
    return 1 + this.wal.filter((record) => typeof record === 'string' && record.startsWith('timeline')).length;
  }

  get lsn(): Lsn {
    return lsnOf(BASE + RECORD_BYTES * BigInt(this.wal.length));
  }

  get rows(): readonly number[] {
    return this.wal.filter((record) => typeof record === 'number');
  }

  get isWritable(): boolean {
    return this.isRunning && this.isPrimary;
  }

  /** Whom it receives from just now: asked for, running, with its slot, and with all that it has itself. */
  upstream(): Node | undefined {
    const port = Number(/ port=(\d+)/.exec(this.settings['primary_conninfo'] ?? '')?.[1]);
    const found = this.#cluster.nodes.find((node) => node.port === port);
    if (!this.isRunning || this.isPrimary || found?.isRunning !== true || !found.slots.has(slotOf(this.name))) return undefined;
    return this.wal.every((record, index) => found.wal[index] === record) ? found : undefined;
  }

  /** A standby where somebody has said so, whoever starts it. */
  start(): void {
    if (this.isRunning) return;
    this.isRunning = true;
    this.isPrimary = this.#world.fs.readFile(this.signalFile) === undefined;
    this.#control(this.isPrimary ? 'in production' : 'in archive recovery');
  }

  /** A clean shutdown sends everything to whoever follows. */
  stop(mode: 'fast' | 'immediate'): void {
    if (!this.isRunning) return;
    const followers = this.#cluster.nodes.filter((node) => node.upstream() === this);
    if (mode === 'fast' && this.isPrimary) {
      const checkpoint = this.lsn;
      this.wal.push('shutdown');
      for (const node of followers) node.wal = [...this.wal];
      this.#control('shut down', checkpoint);
    } else if (mode === 'fast') this.#control('shut down in recovery');
    this.isRunning = false;
  }

  promote(): void {
    if (!this.isRunning || this.isPrimary) return;
    this.wal.push(`timeline ${this.timeline + 1}`);
    this.isPrimary = true;
    this.#world.fs.remove(this.signalFile);
    updateControl(this.#directory(), { state: 'in production' });
  }

  checkpoint(): void {
    this.#control('in production');
  }

  observe(): ServerObservation {
    const timeline = timelineIdOf(this.timeline);
    return {
      systemIdentifier: this.#cluster.systemIdentifier,
      postgresMajor: 15,
      versionNumber: 150_000,
      inRecovery: !this.isPrimary,
      timeline,
      lsn: this.lsn,
      dataDirectory: this.dataDirectory,
      walSegmentSizeBytes: 16 * 1024 * 1024,
      serverTime: this.#world.now(),
      archiver: { archivedCount: 0n, failedCount: 0n },
      replication: [],
      settings: this.settings,
      pendingRestart: [],
    };
  }

  observeReplication(): ReplicationFacts {
    const upstream = this.upstream();
    const slots = [...this.slots].map((name) => ({ name, active: this.isFollowedBy(name), kind: 'physical' as const, temporary: false }));
    return {
      inRecovery: !this.isPrimary,
      serverTime: this.#world.now(),
      ...(this.isPrimary ? { flushLsn: this.lsn } : { receivedLsn: this.lsn, replayedLsn: this.lsn }),
      ...(upstream === undefined ? {} : { receiver: { status: 'streaming', senderHost: HOST, senderPort: upstream.port } }),
      ...this.#connection(),
      replayPaused: false,
      senders: [],
      slots,
      conflicts: { snapshot: 0n, lock: 0n, others: 0n },
    };
  }

  isFollowedBy(slot: string): boolean {
    return this.#cluster.nodes.some((node) => slotOf(node.name) === slot && node.upstream() === this);
  }

  #connection(): Pick<ReplicationFacts, 'primaryConnection'> {
    const port = / port=(\d+)/.exec(this.settings['primary_conninfo'] ?? '')?.[1];
    return port === undefined ? {} : { primaryConnection: { host: HOST, port: Number(port) } };
  }

  #directory() {
    const directory = this.#world.fs.directory(this.dataDirectory);
    if (directory === undefined) throw new Error(`${this.dataDirectory} is gone`);
    return directory;
  }

  #control(state: string, at = this.lsn): void {
    const redo = `0/${at.toString(16).toUpperCase()}`;
    updateControl(this.#directory(), { state, redo, consistentAt: redo, timeline: this.timeline });
  }

  /** As pg_controldata shows it. */
  get controlState(): string {
    return readControl(this.#directory())?.state ?? '';
  }
}

/** All of them, a the primary that the others follow. */
export class Nodes {
  readonly systemIdentifier = 7_300_000_000_000_000_001n as SystemIdentifier;
  readonly nodes: readonly Node[];

  constructor(names: readonly string[], world: FakeWorld) {
    this.nodes = names.map((name, index) => new Node(name, 5001 + index, world, this));
    const [first, ...others] = this.nodes;
    for (const node of others) {
      first?.slots.add(slotOf(node.name));
      node.settings = { primary_conninfo: `host=${HOST} port=${first?.port ?? 0}` };
      world.fs.writeFile(node.signalFile, '');
    }
    for (const node of this.nodes) node.start();
  }

  named(name: string): Node {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  }

  /** WAL flows to everybody who asks for it; a standby of a standby gets it a moment later. */
  flow(): void {
    for (const node of this.nodes) {
      const upstream = node.upstream();
      if (upstream !== undefined) node.wal = [...upstream.wal];
    }
  }
}
