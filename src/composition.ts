import { createSystemClock } from './adapters/clock/clock.ts';
import { createInstanceControl } from './adapters/instance/control.ts';
import { createInstanceReader } from './adapters/instance/reader.ts';
import { createServiceControl } from './adapters/instance/service-control.ts';
import { createPgbackrestEngine } from './adapters/pgbackrest/adapter.ts';
import type { PgbackrestSettings, RepositorySettings } from './adapters/pgbackrest/settings.ts';
import { createPostgresReader } from './adapters/postgres/reader.ts';
import { createPostgresWriter } from './adapters/postgres/writer.ts';
import { createProcessRunner } from './adapters/process/index.ts';
import { newRunId } from './adapters/state/run-id.ts';
import { createRunLock } from './adapters/state/run-lock.ts';
import { createRunStore } from './adapters/state/run-store.ts';
import type { ClusterConfig, Configuration, NodeConfig, RepositoryConfig } from './config/model.ts';
import { resolveNodeUrl, resolveSecret, type SecretContext } from './config/resolve-secret.ts';
import type { SecretReference } from './config/secrets.ts';
import { createStepHandlers } from './engine/handlers/index.ts';
import type { StepHandlers } from './engine/step-handler.ts';
import type { ClusterAccess, ReadPorts, WritePorts } from './ports/bundle.ts';
import type { FileOwner } from './ports/instance.ts';
import type { PostgresReader } from './ports/postgres-server.ts';
import type { RunId, RunVerb } from './ports/run-store.ts';

export { createProcessRunner };

/** Everything that works on one cluster, put together. */
export interface ComposedCluster {
  readonly ports: ReadPorts & WritePorts;
  readonly handlers: StepHandlers;
  newRunId(verb: RunVerb): RunId;
}

/** Builds the adapters of one cluster. Reads secrets and, where asked to, finds out who is primary; changes nothing. */
export async function composeCluster(
  configuration: Configuration,
  cluster: ClusterConfig,
  signal: AbortSignal,
  { askForPrimary }: { readonly askForPrimary: boolean },
): Promise<ComposedCluster> {
  const runner = createProcessRunner();
  const clock = createSystemClock();
  const secrets: SecretContext = { environment: process.env, processes: runner, signal };
  const postgres = createPostgresReader();
  const instance = createInstanceReader({
    runner,
    ...(cluster.postgresqlBinDirectory === undefined ? {} : { binDirectory: cluster.postgresqlBinDirectory }),
  });
  const access = clusterAccess(cluster, secrets);
  const primary = askForPrimary ? await primaryNode(cluster, access, postgres, signal) : firstNode(cluster);
  const settings = await pgbackrestSettings(configuration, cluster, primary, await ownerOf(cluster, primary, instance), secrets);
  const { reader, engine } = createPgbackrestEngine({ settings, runner, clock });
  const runs = createRunStore(configuration.stateDirectory);
  const ports = {
    catalog: reader,
    postgres,
    instance,
    access,
    runs,
    clock,
    engine,
    postgresWriter: createPostgresWriter(),
    instanceControl: createInstanceControl({ runner }),
    services: createServiceControl({ runner }),
    runWriter: runs,
    lock: createRunLock(configuration.stateDirectory),
  };
  return {
    ports,
    handlers: createStepHandlers(ports),
    newRunId: (verb) =>
      newRunId(
        verb,
        clock.now(),
        Math.floor(Math.random() * 36 ** 6)
          .toString(36)
          .padStart(6, '0'),
      ),
  };
}

function clusterAccess(cluster: ClusterConfig, secrets: SecretContext): ClusterAccess {
  return {
    async addressOf(name) {
      const node = cluster.nodes.find((one) => one.name === name);
      const url = node === undefined ? undefined : await resolveNodeUrl(node, secrets);
      return url === undefined ? undefined : { kind: 'url', url };
    },
  };
}

/** The engine's configuration names one data directory: that of whoever is primary now, else of the first node that has one. */
async function primaryNode(
  cluster: ClusterConfig,
  access: ClusterAccess,
  postgres: PostgresReader,
  signal: AbortSignal,
): Promise<NodeConfig | undefined> {
  const answers = await Promise.all(
    cluster.nodes.map(async (node) => {
      try {
        const address = await access.addressOf(node.name);
        return address !== undefined && !(await postgres.observeRecovery(address, { signal })).inRecovery;
      } catch {
        return false;
      }
    }),
  );
  return cluster.nodes.find((_node, index) => answers[index]) ?? firstNode(cluster);
}

function firstNode(cluster: ClusterConfig): NodeConfig | undefined {
  return cluster.nodes.find((node) => node.dataDirectory !== undefined);
}

async function ownerOf(
  cluster: ClusterConfig,
  primary: NodeConfig | undefined,
  instance: ReadPorts['instance'],
): Promise<FileOwner | undefined> {
  if (instance.currentUser().uid !== 0) return undefined;
  const named = cluster.osUser === undefined ? undefined : await instance.findUser(cluster.osUser);
  if (named !== undefined) return named;
  const owner =
    (primary?.dataDirectory === undefined ? undefined : await instance.ownerOf(primary.dataDirectory)) ??
    (await instance.findUser('postgres'));
  return owner?.uid === 0 ? undefined : owner;
}

async function pgbackrestSettings(
  configuration: Configuration,
  cluster: ClusterConfig,
  primary: NodeConfig | undefined,
  user: FileOwner | undefined,
  secrets: SecretContext,
): Promise<PgbackrestSettings> {
  const { pgbackrest } = cluster;
  const directory = `${configuration.stateDirectory}/pgbackrest/${cluster.name}`;
  return {
    stanza: cluster.stanza,
    command: pgbackrest.command,
    processMax: pgbackrest.processMax,
    compressType: pgbackrest.compressType,
    ...(pgbackrest.compressLevel === undefined ? {} : { compressLevel: pgbackrest.compressLevel }),
    lockPath: pgbackrest.lockPath ?? `${directory}/lock`,
    spoolPath: pgbackrest.spoolPath ?? `${directory}/spool`,
    logPath: `${directory}/log`,
    configFile: `${directory}/pgbackrest.conf`,
    extraOptions: pgbackrest.extraOptions,
    repositories: await Promise.all(cluster.repositories.map((repository) => repositorySettings(repository, secrets))),
    postgres:
      primary?.dataDirectory === undefined
        ? []
        : [
            {
              dataDirectory: primary.dataDirectory,
              port: primary.port ?? 5432,
              ...(primary.socketDirectory === undefined ? {} : { socketDirectory: primary.socketDirectory }),
            },
          ],
    ...(user === undefined ? {} : { user }),
  };
}

async function repositorySettings(repository: RepositoryConfig, secrets: SecretContext): Promise<RepositorySettings> {
  const read = async (reference: SecretReference | undefined) => (reference === undefined ? undefined : resolveSecret(reference, secrets));
  const { retention, encryptionPassphrase, ...rest } = repository;
  const common = { retentionDays: retention.days, cipherPassphrase: await read(encryptionPassphrase) };
  if (rest.kind === 'local') return withoutUndefined({ ...rest, ...common });
  const { accessKey, secretKey, sessionToken, ...s3 } = rest;
  return withoutUndefined({
    ...s3,
    ...common,
    accessKey: await read(accessKey),
    secretKey: await read(secretKey),
    sessionToken: await read(sessionToken),
  });
}

/** exactOptionalPropertyTypes: what is not there is left out. */
function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** What the lab needs to know of this machine. */
export function labInstances(): ReadPorts['instance'] {
  return createInstanceReader({ runner: createProcessRunner() });
}
