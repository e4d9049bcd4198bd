import fc from 'fast-check';
import type { ClusterConfig, NodeConfig } from '../../src/config/model.ts';
import { SecretText } from '../../src/config/secrets.ts';
import { formatLsn, lsnOf, parseLsn } from '../../src/domain/postgres/lsn.ts';
import type { ReseedMethodName } from '../../src/domain/topology/reseed-facts.ts';
import { asSpokeError } from '../../src/errors.ts';
import { decideReseed } from '../../src/workflows/reseed/decide.ts';
import { type ReseedIntent, worksInPlace } from '../../src/workflows/reseed/intent.ts';
import { observeForReseed } from '../../src/workflows/reseed/observe.ts';
import { buildCluster, commits, type FakeCluster } from '../fakes/cluster.ts';
import { writeDataDirectory } from '../fakes/data-directory.ts';
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
/** So far a primary came on its own before it was stopped. */
const OWN_WAL_BYTES = 0x400n;

/** What a standby is like that is to be brought back, and what is asked for. */
export interface ReseedScenario {
  readonly method: ReseedMethodName;
  /** `diverged`: it was the primary before, and committed what the new one does not have. */
  readonly standby: 'running' | 'stopped' | 'diverged' | 'absent';
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

export interface ReseedStory extends FakeCluster {
  readonly intent: ReseedIntent;
}

/** Builds the world and decides. Undefined where that method is refused. */
export async function tellReseed(scenario: ReseedScenario, options = { reusesInodes: true }): Promise<ReseedStory | undefined> {
  const built = buildWorld(scenario, options);
  const ports = readOnlyPorts(new FakeProcess(built.world), built.cluster);
  const request = { cluster: built.cluster, node: STANDBY, wish: { method: scenario.method }, keepOld: scenario.keepOld, suffix: 'k3f9' };
  try {
    const world = await observeForReseed(request, ports, { signal: new AbortController().signal });
    const intent = JSON.parse(JSON.stringify(decideReseed(request, world))) as ReseedIntent;
    return { ...built, intent };
  } catch (thrown) {
    if (asSpokeError(thrown).exitCode === 12) return undefined;
    throw thrown;
  }
}

function buildWorld(scenario: ReseedScenario, { reusesInodes }: { readonly reusesInodes: boolean }): FakeCluster {
  const events = [...commits(3), { kind: 'backup', repository: 0, type: 'full' } as const, ...commits(6)];
  const history = scenario.standby === 'diverged' ? [...events, { kind: 'promotion' } as const, ...commits(6)] : [...events, ...commits(6)];
  const { world, spec, cluster: base } = buildCluster({ events: history, primary: 'running', startsAtBoot: true, reusesInodes });
  const cluster = clusterOf(base, scenario);
  if (scenario.hasPassword) world.replicationPassword = PASSWORD;
  const rights = { canLogin: true, superuser: true, replication: true, memberOf: [], mayExecute: [] };
  world.roles.set(cluster.replication.role, { name: cluster.replication.role, ...rights });
  const origin = world.origin();
  if (scenario.slot !== 'missing') origin?.slots.add(SLOT);
  if (scenario.slot === 'lost') world.lostSlots.add(SLOT);
  makeStandby(world, scenario);
  world.fs.makeDirectory('/srv');
  if (scenario.hasEndpoints) world.fs.writeFile(ENDPOINTS_FILE, 'as somebody wrote it, with the standby');
  return { world, spec, cluster };
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
    nodes: [{ ...node, name: PRIMARY }, standby],
    ...(hasEndpoints ? { endpoints: { file: ENDPOINTS_FILE, database: 'app' } } : {}),
  };
}

function makeStandby(world: FakeWorld, { standby, method }: ReseedScenario): void {
  world.fs.makeDirectory('/var/lib/postgresql/15', POSTGRES_USER);
  world.fs.makeDirectory(SOCKET_DIRECTORY, POSTGRES_USER);
  const start = {
    dataDirectory: STANDBY_DIRECTORY,
    binDirectory: '/usr/lib/postgresql/15/bin',
    owner: POSTGRES_USER,
    port: STANDBY_PORT,
    socketDirectory: SOCKET_DIRECTORY,
    logFile: '/tmp/standby.log',
    settings: {},
  };
  // Over the old data nothing can be started half-way, and a service manager would not know: the documentation says so. An old primary
  // that is started at boot is for whoever promoted the other one to prevent.
  world.services.push({ service: SYSTEMD, start, startsAtBoot: !worksInPlace(method) && standby !== 'diverged' });
  if (standby === 'absent') return;
  writeStandby(world, standby === 'diverged');
  if (standby === 'running') world.startServer(start).tick();
}

function writeStandby({ fs, history }: FakeWorld, isDiverged: boolean): void {
  const fork = history.histories.at(-1)?.ancestors.at(-1)?.switchLsn;
  const lsn = formatLsn(isDiverged && fork !== undefined ? lsnOf(fork + OWN_WAL_BYTES) : parseLsn('0/2000100'));
  const state = isDiverged ? 'shut down' : 'shut down in recovery';
  writeDataDirectory(fs, STANDBY_DIRECTORY, {
    control: { systemIdentifier: String(history.systemIdentifier), state, timeline: 1, redo: lsn, consistentAt: lsn },
    content: { lsn, timeline: 1 },
    owner: POSTGRES_USER,
    postgresqlConf: '',
    autoConf: `primary_conninfo = 'host=127.0.0.1 port=5432'\nprimary_slot_name = '${SLOT}'\n`,
  });
  for (const { name } of history.closedSegments()) fs.writeFile(`${STANDBY_DIRECTORY}/pg_wal/${name}`, 'wal');
  if (!isDiverged) fs.writeFile(`${STANDBY_DIRECTORY}/standby.signal`, '');
}
