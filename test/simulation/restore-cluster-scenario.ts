import fc from 'fast-check';
import type { ClusterConfig, NodeConfig } from '../../src/config/model.ts';
import { SecretText } from '../../src/config/secrets.ts';
import { lsnOf } from '../../src/domain/postgres/lsn.ts';
import type { SystemIdentifier } from '../../src/domain/postgres/system-identifier.ts';
import { slotOf } from '../../src/domain/topology/slot-name.ts';
import type { ServerStart } from '../../src/ports/instance.ts';
import { observeTopology } from '../../src/workflows/observe-topology.ts';
import type { RestoreIntent } from '../../src/workflows/restore/intent.ts';
import { withStandbys } from '../../src/workflows/restore-cluster/decide.ts';
import { bouncerConfiguration } from '../../src/workflows/setup-cluster/pgbouncer.ts';
import { RoutingBouncer } from '../fakes/bouncer.ts';
import type { FakeCluster } from '../fakes/cluster.ts';
import { readOnlyPorts } from '../fakes/ports.ts';
import { FakeProcess } from '../fakes/process.ts';
import type { FakeServer } from '../fakes/server.ts';
import { addStandby } from '../fakes/standby.ts';
import { type FakeWorld, POSTGRES_USER } from '../fakes/world.ts';
import { buildWorld, restoreScenario, type RestoreScenario, type RestoreStory, share, tellRestoreIn } from './restore-scenario.ts';

export const ENDPOINTS_FILE = '/srv/endpoints.env';
export const PRIMARY_PORT = 5432;
const BOUNCER_FILE = '/etc/pgbouncer.ini';
const BOUNCER = 'front';
const CONSOLE = `postgresql://admin:secret@127.0.0.1:6432/${BOUNCER}`;
const FIRST_STANDBY_PORT = 5441;
const MEBIBYTE = 1024n * 1024n;

/** A standby of the cluster that goes back. */
interface StandbyScenario {
  readonly isRunning: boolean;
  /** Of a stopped one, and of one whose primary is down: how far it has come, as a share of all WAL. */
  readonly reached: number;
  readonly service: 'pg_ctl' | 'systemd';
}

/** The restore of the primary, and what else there is. */
export interface ClusterScenario {
  readonly restore: RestoreScenario;
  readonly standbys: readonly StandbyScenario[];
  /** `of others`: its configuration is not one of ours. */
  readonly bouncer: 'ours' | 'of others' | 'none';
  readonly hasEndpoints: boolean;
  /** By which a copy of the primary is cheap or dear. */
  readonly databaseMib: number;
  readonly mayRewind: boolean;
}

/**
 * In place, and to a primary that serves: else the standbys are left alone. All nodes are on one host, which leaves no place for tablespaces.
 * A promotion that was never archived would have its timeline's number given once more.
 */
const restoreInPlace = restoreScenario.map(
  (scenario): RestoreScenario => ({
    ...scenario,
    primary: scenario.primary === 'gone' ? 'running' : scenario.primary,
    unarchivedEvents: scenario.events.some(({ kind }) => kind === 'promotion') ? 0 : scenario.unarchivedEvents,
    ...{ destination: 'in place', start: true, targetAction: 'promote', tablespaces: 0, configurationInDataDirectory: true },
  }),
);

export const clusterScenario: fc.Arbitrary<ClusterScenario> = fc.record({
  restore: restoreInPlace,
  standbys: fc.array(
    fc.record({
      isRunning: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
      reached: share,
      service: fc.constantFrom('pg_ctl' as const, 'systemd' as const),
    }),
    { minLength: 1, maxLength: 2 },
  ),
  bouncer: fc.constantFrom('ours', 'of others', 'none'),
  hasEndpoints: fc.boolean(),
  databaseMib: fc.constantFrom(1, 40, 4096),
  mayRewind: fc.boolean(),
});

export interface ClusterStory extends RestoreStory {
  readonly bouncer: RoutingBouncer | undefined;
  readonly standbys: readonly ServerStart[];
}

/** Builds the world and decides, as `restore --in-place` does. Undefined where it is refused, or where no standby goes along. */
export async function tellRestoreOfCluster(scenario: ClusterScenario, options = { reusesInodes: true }): Promise<ClusterStory | undefined> {
  const built = buildWorld(scenario.restore, options);
  const { world } = built;
  const standbys = scenario.standbys.map((one, index) => makeStandby(world, one, index));
  const cluster = clusterOf(built.cluster, scenario, standbys);
  world.databaseBytes = BigInt(scenario.databaseMib) * MEBIBYTE;
  const rights = { canLogin: true, superuser: scenario.mayRewind, replication: true, memberOf: [], mayExecute: [] };
  world.roles.set(cluster.replication.role, { name: cluster.replication.role, ...rights });
  const bouncer = makeFront(world, cluster, scenario);
  const crashMachine = world.crashMachine.bind(world);
  world.crashMachine = () => {
    bouncer?.restart();
    crashMachine();
  };
  const story = await tellRestoreIn({ ...built, cluster }, scenario.restore, (intent) => decideWithStandbys(intent, { ...built, cluster }));
  if (story?.intent.standbys === undefined) return undefined;
  world.onPrimary = (server) => adopt(story, server);
  return { ...story, bouncer, standbys };
}

async function decideWithStandbys(intent: RestoreIntent, { world, cluster }: FakeCluster): Promise<RestoreIntent> {
  const ports = readOnlyPorts(new FakeProcess(world), cluster);
  const expected = BigInt(intent.systemIdentifier) as SystemIdentifier;
  const observed = await observeTopology(cluster, ports, { signal: new AbortController().signal }, expected);
  return withStandbys(intent, cluster, { onlyNode: false, thenBackup: false }, observed);
}

/** What is restored goes on with the history of the cluster as soon as clients reach it. */
function adopt({ world, intent }: RestoreStory, server: FakeServer): void {
  const isInPlace = server.start.dataDirectory === intent.dataDirectory;
  if (!isInPlace || server.isOrigin) return;
  world.history.goBack(server.timelineHistory(), server.lsn());
  world.originIdentity = server.directory.identity;
}

function makeStandby(world: FakeWorld, { isRunning, reached }: StandbyScenario, index: number): ServerStart {
  const name = nameOf(index);
  const { records, insertLsn } = world.history;
  const isFed = isRunning && world.origin() !== undefined;
  const start: ServerStart = {
    dataDirectory: `/var/lib/postgresql/15/${name}`,
    binDirectory: '/usr/lib/postgresql/15/bin',
    owner: POSTGRES_USER,
    port: FIRST_STANDBY_PORT + index,
    socketDirectory: `/run/${name}`,
    logFile: `/tmp/${name}.log`,
    settings: {},
  };
  addStandby(world, {
    start,
    service: unitOf(index),
    slot: slotOf(name),
    primaryPort: PRIMARY_PORT,
    lsn: isFed ? insertLsn : (records[Math.floor(reached * records.length)]?.endLsn ?? lsnOf(insertLsn)),
    isRunning,
  });
  return start;
}

function nameOf(index: number): string {
  return `standby-${index + 1}`;
}

function unitOf(index: number) {
  return { manager: 'systemd', unit: `postgresql@15-${nameOf(index)}` } as const;
}

function clusterOf(base: ClusterConfig, scenario: ClusterScenario, standbys: readonly ServerStart[]): ClusterConfig {
  const nodes = standbys.map(
    ({ dataDirectory, port, socketDirectory }, index): NodeConfig => ({
      ...{ name: nameOf(index), dataDirectory, port, socketDirectory },
      url: new SecretText([`postgresql://backup@127.0.0.1:${port}/postgres`]),
      service: scenario.standbys[index]?.service === 'systemd' ? unitOf(index) : { manager: 'pg_ctl' },
    }),
  );
  return {
    ...base,
    nodes: [...base.nodes, ...nodes],
    reseed: { ...base.reseed, streamTimeoutSeconds: 60 },
    ...(scenario.hasEndpoints ? { endpoints: { file: ENDPOINTS_FILE, database: 'app' } } : {}),
    pgbouncer:
      scenario.bouncer === 'none'
        ? []
        : [
            {
              name: BOUNCER,
              adminUrl: new SecretText([CONSOLE]),
              configFile: BOUNCER_FILE,
              userListFile: '/etc/userlist.txt',
              databases: { app: { to: 'primary', database: 'postgres' }, reports: { to: 'standbys', database: 'postgres' } },
              users: [],
              settings: {},
              pauseTimeoutSeconds: 10,
            },
          ],
  };
}

function makeFront(world: FakeWorld, { pgbouncer, nodes }: ClusterConfig, scenario: ClusterScenario): RoutingBouncer | undefined {
  world.fs.makeDirectory('/srv');
  if (scenario.hasEndpoints) world.fs.writeFile(ENDPOINTS_FILE, 'as somebody wrote it');
  const [bouncer] = pgbouncer;
  if (bouncer === undefined) return undefined;
  const placed = nodes.map(({ name, port = 0 }, index) => ({
    ...{ name, address: { host: '127.0.0.1', port } },
    role: index === 0 ? ('primary' as const) : ('standby' as const),
  }));
  const { configuration } = bouncerConfiguration({ bouncer, adminUser: 'admin', listenPort: 6432 }, placed);
  const ofOthers = `app = host=127.0.0.1 port=${PRIMARY_PORT}\nreports = host=127.0.0.1 port=${PRIMARY_PORT}\n`;
  world.fs.writeFile(BOUNCER_FILE, scenario.bouncer === 'ours' ? configuration : ofOthers);
  const found = new RoutingBouncer(world, BOUNCER_FILE, ['app', 'reports']);
  world.bouncers.set(CONSOLE, found);
  return found;
}
