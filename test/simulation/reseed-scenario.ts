import fc from 'fast-check';
import type { ClusterConfig, NodeConfig } from '../../src/config/model.ts';
import { SecretText } from '../../src/config/secrets.ts';
import { formatLsn, lsnOf, parseLsn } from '../../src/domain/postgres/lsn.ts';
import type { ReseedMethodName } from '../../src/domain/topology/reseed-facts.ts';
import { asSpokeError } from '../../src/errors.ts';
import type { ServerStart } from '../../src/ports/instance.ts';
import { decideRejoin, type Rejoin } from '../../src/workflows/rejoin/decide.ts';
import { decideReseed } from '../../src/workflows/reseed/decide.ts';
import type { ReseedIntent } from '../../src/workflows/reseed/intent.ts';
import { observeForReseed } from '../../src/workflows/reseed/observe.ts';
import { buildCluster, commits, type FakeCluster } from '../fakes/cluster.ts';
import { updateControl, writeDataDirectory } from '../fakes/data-directory.ts';
import { readOnlyPorts } from '../fakes/ports.ts';
import { FakeProcess } from '../fakes/process.ts';
import { type FakeWorld, POSTGRES_USER } from '../fakes/world.ts';

export const STANDBY_DIRECTORY = '/var/lib/postgresql/15/standby';
export const STANDBY_PORT = 5433;
export const SLOT = 'replica_1';
export const ENDPOINTS_FILE = '/srv/endpoints.env';
export const PASSWORD = "it's #a \\secret";
const PRIMARY = 'primary-1';
export const STANDBY = 'replica-1';
const SOCKET_DIRECTORY = '/run/standby';
const SYSTEMD = { manager: 'systemd', unit: 'postgresql@15-standby' } as const;
/** As whoever is not this program starts it. */
export const STANDBY_START: ServerStart = {
  dataDirectory: STANDBY_DIRECTORY,
  binDirectory: '/usr/lib/postgresql/15/bin',
  owner: POSTGRES_USER,
  port: STANDBY_PORT,
  socketDirectory: SOCKET_DIRECTORY,
  logFile: '/tmp/standby.log',
  settings: {},
};
/** So far a primary came on its own before it was stopped. */
const OWN_WAL_BYTES = 0x400n;

/** What a standby is like that is to be brought back, and what is asked for. */
export interface ReseedScenario {
  /** `rejoin`: whichever that takes. */
  readonly method: ReseedMethodName | 'rejoin';
  /**
   * `diverged`: it was the primary before, and committed what the new one does not have; `crashed`: so it was when its machine failed;
   * `astray`: it is a standby that has come further than where the new primary began.
   */
  readonly standby: 'running' | 'stopped' | 'diverged' | 'crashed' | 'astray' | 'absent';
  /** Of an old primary: a failover has left standby.signal in it. */
  readonly isFenced?: boolean;
  /** Whether the role for replication may read files of the primary. */
  readonly mayRewind?: boolean;
  readonly slot: 'good' | 'missing' | 'lost';
  readonly service: 'pg_ctl' | 'systemd';
  readonly keepOld: boolean;
  readonly hasEndpoints: boolean;
  readonly hasPassword: boolean;
}

export const reseedScenario: fc.Arbitrary<ReseedScenario> = fc.record({
  method: fc.constantFrom<ReseedMethodName>('rewind', 'delta', 'backup', 'basebackup'),
  standby: fc.constantFrom('running', 'stopped', 'diverged', 'absent'),
  slot: fc.constantFrom('good', 'missing', 'lost'),
  service: fc.constantFrom('pg_ctl', 'systemd'),
  keepOld: fc.boolean(),
  hasEndpoints: fc.boolean(),
  hasPassword: fc.boolean(),
});

/** What `rejoin` is for: nodes that a failover has left behind, however they were left. */
export const rejoinScenario: fc.Arbitrary<ReseedScenario> = fc.record({
  method: fc.constant('rejoin' as const),
  standby: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('diverged' as const, 'crashed' as const) },
    { weight: 1, arbitrary: fc.constantFrom('running' as const, 'stopped' as const, 'astray' as const) },
  ),
  isFenced: fc.boolean(),
  mayRewind: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  slot: fc.constantFrom('good', 'missing', 'lost'),
  service: fc.constantFrom('pg_ctl', 'systemd'),
  keepOld: fc.boolean(),
  hasEndpoints: fc.boolean(),
  hasPassword: fc.boolean(),
});

export interface ReseedStory extends FakeCluster {
  readonly intent: ReseedIntent;
}

/** Builds the world and decides. Undefined where that method is refused, or nothing is to be done. */
export async function tellReseed(scenario: ReseedScenario, options = { reusesInodes: true }): Promise<ReseedStory | undefined> {
  const built = buildWorld(scenario, options);
  const ports = readOnlyPorts(new FakeProcess(built.world), built.cluster);
  const wish = scenario.method === 'rejoin' ? {} : { method: scenario.method };
  const request = { cluster: built.cluster, node: STANDBY, wish, keepOld: scenario.keepOld, suffix: 'k3f9' };
  try {
    const world = await observeForReseed(request, ports, { signal: new AbortController().signal });
    const intent = scenario.method === 'rejoin' ? intentOf(decideRejoin(request, world)) : decideReseed(request, world);
    return intent === undefined ? undefined : { ...built, intent: JSON.parse(JSON.stringify(intent)) as ReseedIntent };
  } catch (thrown) {
    if (asSpokeError(thrown).exitCode === 12) return undefined;
    throw thrown;
  }
}

function intentOf(rejoin: Rejoin): ReseedIntent | undefined {
  return rejoin.kind === 'reseed' ? rejoin.intent : undefined;
}

function buildWorld(scenario: ReseedScenario, { reusesInodes }: { readonly reusesInodes: boolean }): FakeCluster {
  const events = [...commits(3), { kind: 'backup', repository: 0, type: 'full' } as const, ...commits(6)];
  const history = hasParted(scenario) ? [...events, { kind: 'promotion' } as const, ...commits(6)] : [...events, ...commits(6)];
  const { world, spec, cluster: base } = buildCluster({ events: history, primary: 'running', startsAtBoot: true, reusesInodes });
  const cluster = clusterOf(base, scenario);
  if (scenario.hasPassword) world.replicationPassword = PASSWORD;
  const rights = { canLogin: true, superuser: scenario.mayRewind !== false, replication: true, memberOf: [], mayExecute: [] };
  world.roles.set(cluster.replication.role, { name: cluster.replication.role, ...rights });
  const origin = world.origin();
  // A server that was promoted says so in pg_control with its next checkpoint.
  if (origin !== undefined && hasParted(scenario)) updateControl(origin.directory, { timeline: 1 });
  if (scenario.slot !== 'missing') origin?.slots.add(SLOT);
  if (scenario.slot === 'lost') world.lostSlots.add(SLOT);
  makeStandby(world, scenario);
  world.fs.makeDirectory('/srv');
  if (scenario.hasEndpoints) world.fs.writeFile(ENDPOINTS_FILE, 'as somebody wrote it, with the standby');
  return { world, spec, cluster };
}

/** Whether another node was promoted, and this one was left behind. */
function hasParted({ standby }: ReseedScenario): boolean {
  return standby === 'diverged' || standby === 'crashed' || standby === 'astray';
}

/** Started again, it would take writes. */
export function wouldBePrimary({ standby, isFenced }: ReseedScenario): boolean {
  return (standby === 'diverged' || standby === 'crashed') && isFenced !== true;
}

function clusterOf(base: ClusterConfig, { service, hasEndpoints }: ReseedScenario): ClusterConfig {
  const [node] = base.nodes;
  if (node === undefined) throw new Error('a cluster without nodes');
  const standby: NodeConfig = {
    name: STANDBY,
    url: new SecretText([`postgresql://backup@127.0.0.1:${STANDBY_PORT}/postgres`]),
    dataDirectory: STANDBY_DIRECTORY,
    socketDirectory: SOCKET_DIRECTORY,
    port: STANDBY_PORT,
    service: service === 'systemd' ? SYSTEMD : { manager: 'pg_ctl' },
  };
  return {
    ...base,
    reseed: { ...base.reseed, streamTimeoutSeconds: 60 },
    nodes: [{ ...node, name: PRIMARY }, standby],
    ...(hasEndpoints ? { endpoints: { file: ENDPOINTS_FILE, database: 'app' } } : {}),
  };
}

function makeStandby(world: FakeWorld, scenario: ReseedScenario): void {
  const { standby } = scenario;
  world.fs.makeDirectory('/var/lib/postgresql/15', POSTGRES_USER);
  world.fs.makeDirectory(SOCKET_DIRECTORY, POSTGRES_USER);
  // An old primary that is started at boot is for whoever promoted the other one to prevent.
  world.services.push({ service: SYSTEMD, start: STANDBY_START, startsAtBoot: !wouldBePrimary(scenario) });
  if (standby === 'absent') return;
  writeStandby(world, scenario);
  if (standby === 'running' || standby === 'astray') world.startServer(STANDBY_START).tick();
}

const STATES = {
  ...{ running: 'shut down in recovery', stopped: 'shut down in recovery', astray: 'in archive recovery' },
  ...{ diverged: 'shut down', crashed: 'in production', absent: '' },
};

function writeStandby({ fs, history }: FakeWorld, scenario: ReseedScenario): void {
  const fork = history.histories.at(-1)?.ancestors.at(-1)?.switchLsn;
  const lsn = formatLsn(hasParted(scenario) && fork !== undefined ? lsnOf(fork + OWN_WAL_BYTES) : parseLsn('0/2000100'));
  writeDataDirectory(fs, STANDBY_DIRECTORY, {
    control: {
      systemIdentifier: String(history.systemIdentifier),
      state: STATES[scenario.standby],
      timeline: 1,
      redo: lsn,
      consistentAt: lsn,
    },
    content: { lsn, timeline: 1 },
    owner: POSTGRES_USER,
    postgresqlConf: '',
    autoConf: `primary_conninfo = 'host=127.0.0.1 port=5432'\nprimary_slot_name = '${SLOT}'\n`,
  });
  for (const { name } of history.closedSegments()) fs.writeFile(`${STANDBY_DIRECTORY}/pg_wal/${name}`, 'wal');
  const isStandby = scenario.standby !== 'diverged' && scenario.standby !== 'crashed';
  if (isStandby || scenario.isFenced === true) fs.writeFile(`${STANDBY_DIRECTORY}/standby.signal`, '');
}
