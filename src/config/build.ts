import type { RepositoryName } from '../domain/catalog/base-backup.ts';
import type { ClusterConfig, EngineName, NodeConfig, NoticesConfig, PgBouncerConfig, RepositoryConfig, ServiceConfig } from './model.ts';
import type { ClusterValues, NodeValues, NoticesValues, PgBouncerValues, RepositoryValues } from './schema.ts';
import { SecretReference } from './secrets.ts';

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Leaves out what is undefined, so that an absent key is absent. */
function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}

/** A cluster as the rest of the program knows it, of the checked values in the file. */
export function buildCluster(name: string, values: ClusterValues): ClusterConfig {
  const { objectives, multiHost, osUser, postgresqlBinDirectory, encryption, backupRole, endpoints, patroni, ...rest } = values;
  const repositories = rest.repositories.map((repository, index) => buildRepository(name, rest.engine, repository, index + 1));
  return {
    name,
    engine: rest.engine,
    stanza: rest.stanza ?? name,
    ...defined({ osUser, postgresqlBinDirectory }),
    pgbackrest: defined(rest.pgbackrest),
    native: defined(rest.native),
    ...(encryption === undefined ? {} : { encryption: defined(encryption) }),
    wal: { ...rest.wal, slot: rest.wal.slot ?? slotOf(name) },
    nodes: rest.nodes.map((node) => buildNode(node, patroni !== undefined)),
    replication: defined(rest.replication),
    ...(backupRole === undefined ? {} : { backupRole: defined(backupRole) }),
    pgbouncer: rest.pgbouncer.map(buildPgBouncer),
    ...(endpoints === undefined ? {} : { endpoints: defined(endpoints) }),
    reseed: rest.reseed,
    failover: defined(rest.failover),
    ...(patroni === undefined ? {} : { patroni: { ...defined(patroni), scope: patroni.scope ?? name } }),
    repositories,
    archiving: { ...rest.archiving, ack: rest.archiving.ack ?? defaultAck(repositories) },
    restore: rest.restore,
    ...(objectives === undefined ? {} : { objectives: defined(objectives) }),
    ...(multiHost === undefined ? {} : { multiHost: { ...multiHost, repository: multiHost.repository as RepositoryName } }),
    schedules: rest.schedules,
  };
}

/** Who is told, of the checked values in the file. */
export function buildNotices({ channels, ...rest }: NoticesValues): NoticesConfig {
  return { ...rest, channels: channels.map((channel) => defined(channel)) };
}

function buildNode(values: NodeValues, isPatronis: boolean): NodeConfig {
  const { passwordFile, passwordCommand, ssh, service, ...rest } = values;
  const password = buildPassword(passwordFile, passwordCommand);
  return defined({
    ...rest,
    service: buildService(service, values.name, isPatronis),
    password,
    ssh: ssh === undefined ? undefined : defined(ssh),
  });
}

/** The rules of the file keep any other manager out where there is Patroni. */
function buildService(service: NodeValues['service'], node: string, isPatronis: boolean): ServiceConfig {
  if (isPatronis || service?.manager === 'patroni') return { manager: 'patroni', member: node };
  return service ?? { manager: 'pg_ctl' };
}

function buildPgBouncer({ ssh, databases, ...rest }: PgBouncerValues): PgBouncerConfig {
  const places = Object.entries(databases).map(([database, place]) => [database, defined(place)]);
  return defined({ ...rest, databases: Object.fromEntries(places), ssh: ssh === undefined ? undefined : defined(ssh) });
}

function buildPassword(file: string | undefined, argv: readonly string[] | undefined): SecretReference | undefined {
  if (file !== undefined) return new SecretReference({ kind: 'file', path: file });
  return argv === undefined ? undefined : new SecretReference({ kind: 'command', argv });
}

function buildRepository(cluster: string, engineOfCluster: EngineName, values: RepositoryValues, index: number): RepositoryConfig {
  const name = values.name as RepositoryName;
  const engine = values.engine ?? engineOfCluster;
  if (values.kind === 'local') return defined({ ...values, name, engine, index });
  return defined({ ...values, name, engine, index, pathPrefix: values.pathPrefix ?? `/${cluster}` });
}

/** PostgreSQL: lower-case letters, digits and underscores, at most 63 characters. */
function slotOf(cluster: string): string {
  return `spoke_${cluster.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')}`.slice(0, 63);
}

/** A native repository on this machine holds WAL before any other can. */
function defaultAck(repositories: readonly RepositoryConfig[]): 'local' | 'all' {
  return repositories.some(({ kind, engine }) => kind === 'local' && engine === 'native') ? 'local' : 'all';
}
