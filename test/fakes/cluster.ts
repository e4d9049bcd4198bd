import type { BackupType } from '../../src/domain/catalog/base-backup.ts';
import { formatLsn } from '../../src/domain/postgres/lsn.ts';
import { formatTimelineHistory, timelineHistoryFileName } from '../../src/domain/postgres/timeline-history.ts';
import { addMicros, instantOfSeconds } from '../../src/domain/time/instant.ts';
import type { ClusterConfig, NodeConfig, RepositoryConfig, ServiceConfig } from '../../src/config/model.ts';
import { SecretText } from '../../src/config/secrets.ts';
import type { EngineVersion } from '../../src/ports/backup-engine.ts';
import type { FileOwner, ServerStart } from '../../src/ports/instance.ts';
import { FAKE_ARCHIVING_SETTINGS } from './engine.ts';
import { formatSettings, writeDataDirectory } from './data-directory.ts';
import { FakeHistory } from './history.ts';
import { FAKE_RETENTION_DAYS, FakeRepository, takeFakeBackup } from './repository.ts';
import { FakeWorld, POSTGRES_USER } from './world.ts';

/** What happened to the cluster before the story begins, in order. */
export type FakeEvent =
  | { readonly kind: 'commit' }
  | { readonly kind: 'restore point'; readonly name: string }
  | { readonly kind: 'promotion' }
  | { readonly kind: 'days pass'; readonly days: number }
  | { readonly kind: 'backup'; readonly repository: number; readonly type: BackupType };

export interface FakeClusterSpec {
  readonly events: readonly FakeEvent[];
  readonly repositories: 1 | 2;
  /** Absent: one that takes one backup at a time and keeps nothing apart by timeline. */
  readonly engine?: EngineVersion;
  readonly primary: 'running' | 'stopped' | 'crashed' | 'gone';
  readonly service: ServiceConfig['manager'];
  /** Whether the service manager starts the primary when the machine boots. */
  readonly startsAtBoot: boolean;
  readonly tablespaces: number;
  /** On Debian the configuration lies in /etc. */
  readonly configurationInDataDirectory: boolean;
  /** From which event on nothing was archived any more. */
  readonly archiverFailsFrom: number;
  readonly currentUser: FileOwner;
  readonly reusesInodes: boolean;
}

export const DATA_DIRECTORY = '/var/lib/postgresql/15/main';
export const NODE = 'replica-2';
const CLUSTER = 'main';
const SYSTEM_IDENTIFIER = 7_300_000_000_000_000_001n;
const SYSTEMD = { manager: 'systemd', unit: 'postgresql@15-main' } as const;
const PORT = 5432;
const SOCKET_DIRECTORY = '/run/postgresql';
const STARTED_AT_SECONDS = 1_795_340_000;
const MICROS_PER_DAY = 86_400_000_000n;
const FIRST_TABLESPACE_OID = 16_400;

export const PLAIN_CLUSTER: FakeClusterSpec = {
  events: [
    ...commits(3),
    { kind: 'backup', repository: 0, type: 'full' },
    ...commits(6),
    { kind: 'restore point', name: 'before-release' },
    ...commits(6),
  ],
  repositories: 1,
  primary: 'running',
  service: 'pg_ctl',
  startsAtBoot: false,
  tablespaces: 0,
  configurationInDataDirectory: true,
  archiverFailsFrom: Number.POSITIVE_INFINITY,
  currentUser: POSTGRES_USER,
  reusesInodes: true,
};

/** A cluster with its history, its repositories and, where it still lives, its primary. */
export interface FakeCluster {
  readonly world: FakeWorld;
  readonly cluster: ClusterConfig;
  readonly spec: FakeClusterSpec;
}

export function commits(count: number): FakeEvent[] {
  return Array.from({ length: count }, () => ({ kind: 'commit' }));
}

/** A full backup of each age, oldest first, as they are on the day that the world begins; a segment is filled between them. */
export function agedEvents(days: readonly number[]): FakeEvent[] {
  return days.flatMap((age, index): FakeEvent[] => [
    ...commits(6),
    { kind: 'backup', repository: 0, type: 'full' },
    ...commits(6),
    { kind: 'days pass', days: age - (days[index + 1] ?? 0) },
  ]);
}

export function buildCluster(changes: Partial<FakeClusterSpec> = {}): FakeCluster {
  const spec = { ...PLAIN_CLUSTER, ...changes };
  const history = new FakeHistory(SYSTEM_IDENTIFIER, instantOfSeconds(STARTED_AT_SECONDS));
  const repositories = Array.from({ length: spec.repositories }, (_, index) =>
    index === 0 ? new FakeRepository('local', 'local', history) : new FakeRepository('s3', 's3', history),
  );
  for (const [index, event] of spec.events.entries()) {
    happen(event, history, repositories, spec);
    if (index < spec.archiverFailsFrom) for (const repository of repositories) repository.archiveEverything();
  }
  const world = new FakeWorld({
    history,
    repositories,
    currentUser: spec.currentUser,
    reusesInodes: spec.reusesInodes,
    ...(spec.engine && { engine: spec.engine }),
  });
  const start = startOfPrimary(spec);
  world.fs.makeDirectory(SOCKET_DIRECTORY, POSTGRES_USER);
  world.services.push({ service: SYSTEMD, start, startsAtBoot: spec.startsAtBoot });
  if (spec.primary !== 'gone') makePrimary(world, spec, start);
  return { world, cluster: clusterConfig(spec), spec };
}

function happen(event: FakeEvent, history: FakeHistory, repositories: readonly FakeRepository[], spec: FakeClusterSpec): void {
  switch (event.kind) {
    case 'commit':
      history.commit();
      return;
    case 'restore point':
      history.restorePoint(event.name);
      return;
    case 'promotion':
      history.promote();
      return;
    case 'days pass':
      history.time = addMicros(history.time, BigInt(event.days) * MICROS_PER_DAY);
      return;
    case 'backup': {
      const repository = repositories[event.repository % repositories.length];
      if (repository === undefined) return;
      takeFakeBackup(repository, history, {
        type: event.type,
        tablespaces: tablespacesOf(spec),
        postgresqlConf: spec.configurationInDataDirectory ? postgresqlConf() : undefined,
        autoConf: autoConf(spec),
        annotations: {},
      });
    }
  }
}

/** The configuration of a server that archives; where it lies in /etc, what ALTER SYSTEM has set archives all the same. */
function postgresqlConf(): string {
  return `listen_addresses = '*'\n${formatSettings(FAKE_ARCHIVING_SETTINGS)}`;
}

/** With what an earlier life as a standby has left. */
function autoConf(spec: FakeClusterSpec): string {
  const archiving = spec.configurationInDataDirectory ? {} : FAKE_ARCHIVING_SETTINGS;
  return formatSettings({ ...archiving, primary_conninfo: 'host=elsewhere', work_mem: '8MB' });
}

function tablespacesOf(spec: FakeClusterSpec) {
  return Array.from({ length: spec.tablespaces }, (_, index) => ({
    oid: FIRST_TABLESPACE_OID + index,
    name: `ts${index}`,
    location: `/srv/ts${index}`,
  }));
}

function makePrimary(world: FakeWorld, spec: FakeClusterSpec, start: ServerStart): void {
  const { history } = world;
  const end = formatLsn(history.insertLsn);
  const isClean = spec.primary === 'stopped';
  const directory = writeDataDirectory(world.fs, DATA_DIRECTORY, {
    control: {
      systemIdentifier: String(history.systemIdentifier),
      state: isClean ? 'shut down' : 'in production',
      timeline: history.timeline,
      redo: end,
      consistentAt: end,
    },
    content: { lsn: end, timeline: history.timeline },
    owner: POSTGRES_USER,
    ...(spec.configurationInDataDirectory ? { postgresqlConf: postgresqlConf() } : {}),
    autoConf: autoConf(spec),
    tablespaces: tablespacesOf(spec),
  });
  world.originIdentity = directory.identity;
  const closed = history.closedSegments().map(({ name }) => name);
  for (const name of [...closed.slice(-6), history.openSegment()]) world.fs.writeFile(`${DATA_DIRECTORY}/pg_wal/${name}`, 'wal');
  for (const one of history.histories)
    world.fs.writeFile(`${DATA_DIRECTORY}/pg_wal/${timelineHistoryFileName(one.timeline)}`, formatTimelineHistory(one));
  if (spec.primary === 'running') world.startServer(start).tick();
}

function startOfPrimary(spec: FakeClusterSpec): ServerStart {
  return {
    dataDirectory: DATA_DIRECTORY,
    binDirectory: '/usr/lib/postgresql/15/bin',
    owner: POSTGRES_USER,
    port: PORT,
    socketDirectory: SOCKET_DIRECTORY,
    logFile: '/tmp/postgresql.log',
    settings: {},
    ...(spec.configurationInDataDirectory ? {} : { configFile: '/etc/postgresql/15/main/postgresql.conf' }),
  };
}

function clusterConfig(spec: FakeClusterSpec): ClusterConfig {
  const node: NodeConfig = {
    name: NODE,
    url: new SecretText([`postgresql://backup@127.0.0.1:${PORT}/postgres`]),
    dataDirectory: DATA_DIRECTORY,
    socketDirectory: SOCKET_DIRECTORY,
    port: PORT,
    service: spec.service === 'systemd' ? SYSTEMD : { manager: 'pg_ctl' },
  };
  return {
    name: CLUSTER,
    engine: 'pgbackrest',
    stanza: CLUSTER,
    pgbackrest: { command: 'pgbackrest', processMax: 1, compressType: 'lz4', extraOptions: {} },
    native: { compressType: 'zst', compressLevel: 1, backupFrom: 'primary', withoutIncremental: 'full' },
    wal: { streaming: false, slot: 'spoke_main', keepMib: 8192, tailSeconds: 5 },
    nodes: [node],
    repositories: ['local', 's3'].slice(0, spec.repositories).map((name, index) => repositoryConfig(name, index + 1)),
    archiving: { archiveTimeoutSeconds: 60, ack: 'all', ackTimeoutSeconds: 60 },
    restore: { keepOldDays: 7 },
    schedules: [],
    replication: { role: 'replicator', sslMode: 'prefer', allowedFrom: [] },
    pgbouncer: [],
    reseed: { maxLagMib: 16, streamTimeoutSeconds: 3600 },
    failover: { maxLagMib: 16, timeoutSeconds: 60 },
  };
}

function repositoryConfig(name: string, index: number): RepositoryConfig {
  const common = {
    name: name as RepositoryConfig['name'],
    engine: 'pgbackrest' as const,
    index,
    retention: { days: FAKE_RETENTION_DAYS, requireVerified: false, maxSharePercent: 50 },
  };
  return name === 'local'
    ? { ...common, kind: 'local', path: '/srv/backup' }
    : {
        ...common,
        kind: 's3',
        bucket: 'backups',
        endpoint: 's3.example.org',
        region: 'eu-west-1',
        pathPrefix: '/main',
        uriStyle: 'path',
        verifyTls: true,
        keyType: 'auto',
        checksums: 'auto',
      };
}
