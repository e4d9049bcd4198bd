import { createSystemClock } from './adapters/clock/clock.ts';
import { createInstanceControl } from './adapters/instance/control.ts';
import { createInstanceReader } from './adapters/instance/reader.ts';
import { createServiceControl } from './adapters/instance/service-control.ts';
import { createPgbackrestEngine } from './adapters/pgbackrest/adapter.ts';
import type { PgbackrestSettings, RepositorySettings } from './adapters/pgbackrest/settings.ts';
import { createPostgresReader } from './adapters/postgres/reader.ts';
import { createPostgresWriter } from './adapters/postgres/writer.ts';
import { createProcessRunner } from './adapters/process/index.ts';
import type { S3Client } from './adapters/s3/client.ts';
import type { Register } from './adapters/s3/register.ts';
import { createLeaseFiles } from './adapters/state/lease-files.ts';
import { isGoneFromHere, ownIdentity, type ProcessIdentity } from './adapters/state/process-identity.ts';
import { createPinStore } from './adapters/state/pin-store.ts';
import { newRunId } from './adapters/state/run-id.ts';
import { createRunProcesses } from './adapters/state/run-processes.ts';
import { createRunStore } from './adapters/state/run-store.ts';
import type { ClusterConfig, Configuration, NodeConfig, RepositoryConfig, S3RepositoryConfig } from './config/model.ts';
import { resolveNodeUrl, resolveSecret, type SecretContext } from './config/resolve-secret.ts';
import type { SecretReference } from './config/secrets.ts';
import { createStepHandlers } from './engine/handlers/index.ts';
import type { StepHandlers } from './engine/step-handler.ts';
import { SpokeError } from './errors.ts';
import type { ClusterAccess, ReadPorts, WritePorts } from './ports/bundle.ts';
import type { RepositoryName } from './domain/catalog/base-backup.ts';
import type { BucketReaders, BucketWriters } from './ports/buckets.ts';
import type { Clock } from './ports/clock.ts';
import type { FileOwner } from './ports/instance.ts';
import type { LeaseStore } from './ports/lease.ts';
import type { ObjectStoreReader, ObjectStoreWriter } from './ports/object-store.ts';
import type { PostgresReader } from './ports/postgres-server.ts';
import type { RunId, RunVerb } from './ports/run-store.ts';

export { createProcessRunner, createSystemClock };

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
  const pins = createPinStore(configuration.stateDirectory);
  const buckets = bucketsOf(cluster, secrets);
  const ports = {
    catalog: reader,
    postgres,
    instance,
    access,
    runs,
    pins,
    buckets,
    clock,
    engine,
    postgresWriter: createPostgresWriter(),
    instanceControl: createInstanceControl({ runner }),
    services: createServiceControl({ runner }),
    runWriter: runs,
    leases: await leaseStores(configuration, cluster, clock, secrets),
    runProcesses: createRunProcesses(configuration.stateDirectory),
    pinWriter: pins,
    bucketWriters: buckets,
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

/**
 * The engine's configuration names one data directory: that of whoever is primary now, else of the first node that has one. A
 * node that is alone need not be asked: nobody else can be it.
 */
async function primaryNode(
  cluster: ClusterConfig,
  access: ClusterAccess,
  postgres: PostgresReader,
  signal: AbortSignal,
): Promise<NodeConfig | undefined> {
  if (cluster.nodes.length === 1) return cluster.nodes[0];
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

/** This host's files; where several hosts work on the cluster, then also the bucket that they share. */
async function leaseStores(
  configuration: Configuration,
  cluster: ClusterConfig,
  clock: Clock,
  secrets: SecretContext,
): Promise<readonly LeaseStore[]> {
  const local = createLeaseFiles(configuration.stateDirectory, clock);
  return cluster.multiHost === undefined ? [local] : [local, await sharedLeases(cluster, clock, secrets)];
}

/** Reads no secret and loads no SDK before the first lease is asked for. Throws CONFIG_INVALID. */
async function sharedLeases(cluster: ClusterConfig, clock: Clock, secrets: SecretContext): Promise<LeaseStore> {
  const { repository, termMs } = sharedPlace(cluster);
  const { S3LeaseStore } = await import('./adapters/s3/lease-store.ts');
  const own: ProcessIdentity = await ownIdentity();
  return new S3LeaseStore((signal) => openLeaseRegister(cluster, repository, secrets, termMs / 3, signal), {
    place: `the bucket ${repository.bucket} at ${repository.endpoint}`,
    clock,
    termMs,
    ownProcess: { ...own },
    isGone: (process) => isGoneFromHere(process as unknown as ProcessIdentity, own),
  });
}

async function openLeaseRegister(
  cluster: ClusterConfig,
  repository: S3RepositoryConfig,
  secrets: SecretContext,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Register> {
  const { openRegister } = await import('./adapters/s3/register.ts');
  const { probeConditionalWrites } = await import('./adapters/s3/conditional-write.ts');
  const s3 = await openS3(repository, secrets, { timeoutMs });
  try {
    const path = leasePath(cluster, repository);
    return await openRegister(s3, path, await probeConditionalWrites(s3, path, signal), signal);
  } catch (thrown) {
    s3.close();
    throw thrown;
  }
}

/** Why the bucket that multiHost names cannot hold leases; undefined where it can, or none is named. Throws REPOSITORY_UNAVAILABLE or REPOSITORY_DENIED. */
export async function probeSharedLeases(cluster: ClusterConfig, secrets: SecretContext): Promise<SpokeError | undefined> {
  if (cluster.multiHost === undefined) return undefined;
  const { repository } = sharedPlace(cluster);
  const { probeConditionalWrites } = await import('./adapters/s3/conditional-write.ts');
  const { withoutConditionalWrites } = await import('./adapters/s3/register.ts');
  const s3 = await openS3(repository, secrets);
  try {
    const can = await probeConditionalWrites(s3, leasePath(cluster, repository), secrets.signal);
    return can.kind === 'none' ? withoutConditionalWrites(s3.place, can.reason) : undefined;
  } finally {
    s3.close();
  }
}

function sharedPlace(cluster: ClusterConfig): { readonly repository: S3RepositoryConfig; readonly termMs: number } {
  const name = cluster.multiHost?.repository;
  const repository = cluster.repositories.find((one) => one.name === name);
  if (cluster.multiHost !== undefined && repository?.kind === 's3') return { repository, termMs: cluster.multiHost.leaseSeconds * 1000 };
  throw new SpokeError('CONFIG_INVALID', `multiHost of ${cluster.name} names no repository of kind s3`);
}

/** Beside what pgBackRest keeps there, and by the stanza: clusters may share a path. */
function leasePath(cluster: ClusterConfig, { pathPrefix }: S3RepositoryConfig): string {
  return `${pathPrefix.replace(/^\//, '')}/spoke-backup/${cluster.stanza}/leases`.replace(/^\//, '');
}

/** What a bucket holds beside what its repository shows, and how it is protected. Throws SECRET_UNAVAILABLE; asks the server nothing yet. */
export async function openObjectStoreOf(
  repository: S3RepositoryConfig,
  secrets: SecretContext,
): Promise<ObjectStoreReader & ObjectStoreWriter & { close(): void }> {
  const { createHousekeeping } = await import('./adapters/s3/housekeeping.ts');
  const s3 = await openS3(repository, secrets, { attempts: PATIENT_ATTEMPTS });
  return { ...createHousekeeping(s3), close: () => s3.close() };
}

/** Each is opened when somebody looks, and closed after that. */
function bucketsOf(cluster: ClusterConfig, secrets: SecretContext): BucketReaders & BucketWriters {
  async function using<T>(
    name: RepositoryName,
    use: (store: ObjectStoreReader & ObjectStoreWriter, repository: S3RepositoryConfig) => Promise<T>,
  ) {
    const repository = cluster.repositories.find((one) => one.name === name);
    if (repository?.kind !== 's3') return undefined;
    const store = await openObjectStoreOf(repository, secrets);
    try {
      return await use(store, repository);
    } finally {
      store.close();
    }
  }
  return {
    withBucket: (name, look) => using(name, (store, repository) => look(store, prefixesOf(cluster, repository))),
    changeBucket: async (name, change) => void (await using(name, change)),
  };
}

/** Clusters may share a path: only what pgBackRest keeps of this stanza. */
function prefixesOf({ stanza }: ClusterConfig, { pathPrefix }: S3RepositoryConfig): readonly string[] {
  return ['archive', 'backup'].map((folder) => `${pathPrefix}/${folder}/${stanza}/`.replace(/^\/+/, ''));
}

/** The SDK pauses between them for a random time that doubles, up to 20 s. */
const PATIENT_ATTEMPTS = 6;

async function openS3(
  repository: S3RepositoryConfig,
  secrets: SecretContext,
  limits: { readonly timeoutMs?: number; readonly attempts?: number } = {},
): Promise<S3Client> {
  const { openS3Client } = await import('./adapters/s3/client.ts');
  const { endpoint, port, region, bucket, uriStyle, verifyTls, checksums, caFile } = repository;
  const read = async (reference: SecretReference | undefined) => (reference === undefined ? undefined : resolveSecret(reference, secrets));
  return openS3Client({
    ...limits,
    endpoint: `https://${endpoint}:${port ?? 443}`,
    region,
    bucket,
    uriStyle,
    verifyTls,
    checksums,
    ...withoutUndefined({
      caFile,
      accessKey: await read(repository.accessKey),
      secretKey: await read(repository.secretKey),
      sessionToken: await read(repository.sessionToken),
    }),
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
