import type { ClusterConfig } from '../../src/config/model.ts';
import { NO_OTHER_HOSTS } from '../../src/engine/on-hosts.ts';
import type { ReadPorts, WritePorts } from '../../src/ports/bundle.ts';
import type { Clock } from '../../src/ports/clock.ts';
import { fakeCatalogReader, fakeEngine } from './engine.ts';
import { fakeInstanceControl, fakeInstanceReader } from './instance.ts';
import { fakePostgresReader, fakePostgresWriter, fakeServiceControl } from './postgres.ts';
import type { FakeProcess } from './process.ts';
import { fakeSeeding } from './seeding.ts';
import { fakeSetupReadPorts, fakeSetupWritePorts } from './setup.ts';
import { fakeLeases, fakePinReader, fakePinWriter, fakeRunProcesses, fakeRunReader, fakeRunWriter } from './state.ts';

/** What a process sees of the world. Nothing in here can change it. */
export function fakeReadPorts(process: FakeProcess, cluster: ClusterConfig): ReadPorts {
  return {
    catalog: fakeCatalogReader(process),
    postgres: fakePostgresReader(process),
    instance: fakeInstanceReader(process),
    hosts: NO_OTHER_HOSTS.hosts,
    access: { addressOf: (node) => process.read(() => addressOf(cluster, node)) },
    runs: fakeRunReader(process),
    pins: fakePinReader(process),
    buckets: {
      withBucket: async (repository, look) => {
        const bucket = process.world.buckets.get(repository);
        return bucket === undefined ? undefined : look(bucket, ['']);
      },
    },
    tails: { readTail: () => Promise.resolve(undefined) },
    clock: fakeClock(process),
    setup: fakeSetupReadPorts(process),
  };
}

/** What a process can do to the world. */
export function fakeWritePorts(process: FakeProcess): WritePorts {
  return {
    engine: fakeEngine(process),
    postgresWriter: fakePostgresWriter(process),
    instanceControl: fakeInstanceControl(process),
    hostControl: NO_OTHER_HOSTS.hostControl,
    services: fakeServiceControl(process),
    seeding: fakeSeeding(process),
    fencing: { fence: ([program = '']) => process.change(`fence by ${program}`, () => undefined) },
    runWriter: fakeRunWriter(process),
    leases: [fakeLeases(process)],
    runProcesses: fakeRunProcesses(process),
    pinWriter: fakePinWriter(process),
    setupWriter: fakeSetupWritePorts(process),
    tailStager: { stageTail: () => Promise.reject(new Error('nothing was streamed')) },
    bucketWriters: {
      async changeBucket(repository, change) {
        const bucket = process.world.buckets.get(repository);
        await process.change(`change the bucket of ${repository}`, async () => (bucket === undefined ? undefined : change(bucket)));
      },
    },
  };
}

export function fakePorts(process: FakeProcess, cluster: ClusterConfig): ReadPorts & WritePorts {
  return { ...fakeReadPorts(process, cluster), ...fakeWritePorts(process) };
}

/** Time passes only while somebody sleeps. A sleep is a point: processes die in their sleep, too. */
function fakeClock(process: FakeProcess): Clock {
  const { world } = process;
  return {
    now: () => world.now(),
    monotonicMs: () => world.elapsedMs(),
    async sleep(ms, signal) {
      signal.throwIfAborted();
      await process.sleep(ms);
      signal.throwIfAborted();
    },
  };
}

function addressOf(cluster: ClusterConfig, name: string) {
  const node = cluster.nodes.find((one) => one.name === name);
  return node?.url === undefined
    ? undefined
    : ({ kind: 'url', url: `postgresql://backup@127.0.0.1:${node.port ?? 5432}/postgres` } as const);
}

/** The same world, seen by a process whose every attempt to change it throws. What only shows commands still works. */
export function readOnlyPorts(process: FakeProcess, cluster: ClusterConfig): ReadPorts & WritePorts {
  const { engine, ...others } = fakeWritePorts(process);
  const readers = fakeReadPorts(process, cluster);
  const clock = { ...readers.clock, sleep: () => Promise.reject(new Error('a dry run does not wait')) };
  const shows = (name: string) =>
    name.startsWith('preview') || ['archivingSettings', 'backupSettings', 'standbySettings', 'standbyRecipe'].includes(name);
  const frozen = Object.fromEntries(Object.entries(others).map(([port, methods]) => [port, throwing(port, methods, () => false)]));
  return { ...readers, clock, ...(frozen as unknown as typeof others), engine: throwing('engine', engine, shows) };
}

function throwing<T extends object>(port: string, methods: T, isHarmless: (method: string) => boolean): T {
  const refuse = (method: string) => () => {
    throw new Error(`a dry run called ${port}.${method}`);
  };
  return Object.fromEntries(Object.entries(methods).map(([name, method]) => [name, isHarmless(name) ? method : refuse(name)])) as T;
}
