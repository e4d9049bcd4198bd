import type { ClusterConfig } from '../../src/config/model.ts';
import { SecretText } from '../../src/config/secrets.ts';
import { timelineIdOf } from '../../src/domain/postgres/timeline.ts';
import { SpokeError } from '../../src/errors.ts';
import type { ReadPorts, WritePorts } from '../../src/ports/bundle.ts';
import type { ServerAddress } from '../../src/ports/postgres-server.ts';
import { RoutingBouncer } from '../fakes/bouncer.ts';
import { buildCluster, PLAIN_CLUSTER } from '../fakes/cluster.ts';
import { fakePorts } from '../fakes/ports.ts';
import type { FakeProcess } from '../fakes/process.ts';
import type { FakeWorld } from '../fakes/world.ts';
import { type Node, Nodes } from './change-nodes.ts';

const BOUNCER_FILE = '/etc/pgbouncer.ini';
const ENDPOINTS_FILE = '/srv/endpoints.env';
const CONSOLE = 'postgresql://admin:secret@127.0.0.1:6432/front';

/** A cluster with PgBouncer in front. Clients write all the time, through it and past it, wherever somebody lets them. */
export class ChangeCluster {
  readonly world: FakeWorld;
  readonly config: ClusterConfig;
  readonly nodes: Nodes;
  readonly bouncer: RoutingBouncer;
  /** What was acknowledged. */
  readonly acknowledged: number[] = [];

  constructor(names: readonly string[]) {
    const { world, cluster } = buildCluster({ ...PLAIN_CLUSTER, primary: 'gone' });
    this.world = world;
    this.nodes = new Nodes(names, world);
    this.config = configOf(cluster, this.nodes);
    world.fs.writeFile(BOUNCER_FILE, 'app = host=127.0.0.1 port=5001\n');
    this.bouncer = new RoutingBouncer(world, BOUNCER_FILE, ['app']);
    world.bouncers.set(CONSOLE, this.bouncer);
    world.onChange = () => this.#goOn();
    world.crashMachine = () => this.crashMachine();
    for (let round = 0; round < 3; round += 1) this.#goOn();
    this.nodes.flow();
  }

  get writable(): readonly string[] {
    return this.nodes.nodes.filter(({ isWritable }) => isWritable).map(({ name }) => name);
  }

  /** As a service manager does that somebody told so. */
  startEverything(): void {
    for (const node of this.nodes.nodes) node.start();
    this.#goOn();
  }

  /** As an operator does who wants the first node to be the primary, where he sees no other. */
  startFirstAsPrimary(): void {
    const [first] = this.nodes.nodes;
    if (first === undefined || this.writable.length > 0) return;
    first.isRunning = false;
    this.world.fs.remove(first.signalFile);
    first.start();
    this.#goOn();
  }

  crashMachine(): void {
    for (const node of this.nodes.nodes) node.isRunning = false;
    this.bouncer.restart();
    this.startEverything();
  }

  /** Clients write, then it is looked whether all is as it has to be. */
  #goOn(): void {
    for (const node of this.nodes.nodes.filter(({ isWritable }) => isWritable)) this.#write(node);
    const [one, other] = this.writable;
    const said = `${one} and ${other} both take writes`;
    if (other !== undefined && !this.world.violations.includes(said)) this.world.violations.push(said);
  }

  #write(node: Node): void {
    const number = this.acknowledged.length + 1;
    node.wal.push(number);
    this.acknowledged.push(number);
  }

  /** What a process sees of it and can do to it. */
  ports(process: FakeProcess): ReadPorts & WritePorts {
    const base = fakePorts(process, this.config);
    return {
      ...base,
      clock: { ...base.clock, sleep: (ms, signal) => base.clock.sleep(ms, signal).then(() => this.nodes.flow()) },
      postgres: { ...base.postgres, ...this.#reader(process) },
      postgresWriter: { ...base.postgresWriter, ...this.#writer(process) },
      instance: { ...base.instance, ...this.#instance(process, base) },
      instanceControl: { ...base.instanceControl, ...this.#control(process) },
    };
  }

  #at(address: ServerAddress): Node {
    const port = address.kind === 'url' ? Number(new URL(address.url).port) : address.port;
    const found = this.nodes.nodes.find((node) => node.port === port && node.isRunning);
    if (found === undefined) throw new SpokeError('POSTGRES_UNAVAILABLE', 'connection refused');
    return found;
  }

  #in(dataDirectory: string): Node | undefined {
    return this.nodes.nodes.find((node) => node.dataDirectory === dataDirectory);
  }

  #reader(process: FakeProcess): Partial<ReadPorts['postgres']> {
    return {
      observeServer: (address) => process.read(() => this.#at(address).observe()),
      observeReplication: (address) => process.read(() => this.#at(address).observeReplication()),
      observeRecovery: (address) =>
        process.read(() => {
          const node = this.#at(address);
          const replayed = node.isPrimary ? {} : { replayLsn: node.lsn };
          return { inRecovery: !node.isPrimary, paused: false, timeline: timelineIdOf(node.timeline), ...replayed };
        }),
      observeStreaming: (address, slot) =>
        process.read(() => {
          const node = this.#at(address);
          const found = node.slots.has(slot) ? { slot: { name: slot, active: node.isFollowedBy(slot) } } : {};
          return { inRecovery: !node.isPrimary, postgresMajor: 15, walSegmentSizeBytes: 16 * 1024 * 1024, ...found };
        }),
    };
  }

  #writer(process: FakeProcess): Partial<WritePorts['postgresWriter']> {
    const set = (address: ServerAddress, settings: Readonly<Record<string, string | null>>) => {
      for (const [name, value] of Object.entries(settings)) this.#at(address).settings[name] = value ?? '';
    };
    return {
      alterSystem: (address, settings) =>
        process.change(
          'alter system',
          () => set(address, settings),
          () => set(address, Object.fromEntries(Object.entries(settings).slice(0, 1))),
        ),
      reloadConfiguration: (address) => process.change('reload configuration', () => void this.#at(address)),
      checkpoint: (address) => process.change('checkpoint', () => this.#at(address).checkpoint()),
      createSlot: (address, slot) => process.change('create slot', () => void this.#at(address).slots.add(slot)),
      dropSlot: (address, slot) => process.change('drop slot', () => void this.#at(address).slots.delete(slot)),
      promote: (address) => process.change('promote', () => this.#at(address).promote()),
    };
  }

  #instance(process: FakeProcess, { instance }: ReadPorts): Partial<ReadPorts['instance']> {
    return {
      inspectDirectory: async (path, context) => {
        const found = await instance.inspectDirectory(path, context);
        return this.#in(path)?.isRunning === true ? { ...found, running: { evidence: 'postmaster.pid' } } : found;
      },
      readWalEnd: (path) =>
        process.read(() => {
          const node = this.#in(path);
          return node === undefined ? undefined : { timeline: timelineIdOf(node.timeline), lsn: node.lsn };
        }),
    };
  }

  #control(process: FakeProcess): Partial<WritePorts['instanceControl']> {
    return {
      startServer: ({ dataDirectory }) => process.change(`start ${dataDirectory}`, () => this.#in(dataDirectory)?.start()),
      stopServer: ({ dataDirectory, mode }) => process.change(`stop ${dataDirectory}`, () => this.#in(dataDirectory)?.stop(mode)),
    };
  }
}

function configOf(cluster: ClusterConfig, { nodes }: Nodes): ClusterConfig {
  return {
    ...cluster,
    repositories: [],
    nodes: nodes.map(({ name, port, dataDirectory }) => ({
      ...{ name, port, dataDirectory, service: { manager: 'pg_ctl' } },
      url: new SecretText([`postgresql://backup@127.0.0.1:${port}/postgres`]),
    })),
    pgbouncer: [
      {
        name: 'front',
        adminUrl: new SecretText([CONSOLE]),
        configFile: BOUNCER_FILE,
        userListFile: '/etc/userlist.txt',
        databases: { app: { to: 'primary', database: 'postgres' } },
        users: [],
        settings: {},
        pauseTimeoutSeconds: 10,
      },
    ],
    endpoints: { file: ENDPOINTS_FILE, database: 'postgres' },
  };
}
