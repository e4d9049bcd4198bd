import { join } from 'node:path';
import { type EngineOfRepositories, engineByRepository } from './adapters/engines/by-repository.ts';
import type { NativeRepository, NativeSettings } from './adapters/native/settings.ts';
import { createPgbackrestEngine } from './adapters/pgbackrest/adapter.ts';
import type { PgbackrestSettings, RepositorySettings } from './adapters/pgbackrest/settings.ts';
import { openBlobStoreOf, s3AccessOf, withoutUndefined } from './composition-stores.ts';
import type { ClusterConfig, Configuration, EngineName, NodeConfig, RepositoryConfig } from './config/model.ts';
import { resolveSecret, type SecretContext } from './config/resolve-secret.ts';
import type { SecretReference } from './config/secrets.ts';
import { SpokeError } from './errors.ts';
import type { BlobStore } from './ports/blob-store.ts';
import type { ReadPorts, WritePorts } from './ports/bundle.ts';
import type { FileOwner } from './ports/instance.ts';
import type { ProcessRunner } from './ports/process-runner.ts';

/** What the engines of one cluster are made of. */
export interface EngineParts extends Pick<ReadPorts & WritePorts, 'access' | 'clock' | 'instance' | 'postgres' | 'postgresWriter'> {
  readonly configuration: Configuration;
  readonly cluster: ClusterConfig;
  /** Whose data directory is backed up; absent where no node has one. */
  readonly primary: NodeConfig | undefined;
  /** Whom the engines work as where we are root. */
  readonly user: FileOwner | undefined;
  readonly secrets: SecretContext;
  readonly runner: ProcessRunner;
}

/** The engines that the cluster's repositories name, as one. Reads secrets; changes nothing. */
export async function composeEngines(parts: EngineParts): Promise<Pick<EngineOfRepositories, 'reader' | 'engine'>> {
  const [first = parts.cluster.engine, ...others] = new Set(parts.cluster.repositories.map(({ engine }) => engine));
  return engineByRepository([await composeEngine(first, parts), ...(await Promise.all(others.map((name) => composeEngine(name, parts))))]);
}

async function composeEngine(name: EngineName, parts: EngineParts): Promise<EngineOfRepositories> {
  const repositories = parts.cluster.repositories.filter(({ engine }) => engine === name);
  const names = repositories.map((repository) => repository.name);
  return {
    repositories: names,
    ...(name === 'native' ? await nativeEngine(repositories, parts) : await pgbackrestEngine(repositories, parts)),
  };
}

async function pgbackrestEngine(repositories: readonly RepositoryConfig[], parts: EngineParts) {
  const { runner, clock } = parts;
  return createPgbackrestEngine({ settings: await pgbackrestSettings(repositories, parts), runner, clock });
}

async function pgbackrestSettings(
  repositories: readonly RepositoryConfig[],
  { configuration, cluster, primary, user, secrets }: EngineParts,
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
    // Its keys count its own repositories: another engine's may stand between them.
    repositories: await Promise.all(repositories.map((repository, index) => repositorySettings(repository, index + 1, secrets))),
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

async function repositorySettings(repository: RepositoryConfig, index: number, secrets: SecretContext): Promise<RepositorySettings> {
  const read = async (reference: SecretReference | undefined) => (reference === undefined ? undefined : resolveSecret(reference, secrets));
  const { retention, encryptionPassphrase, ...rest } = repository;
  const common = { index, retentionDays: retention.days, cipherPassphrase: await read(encryptionPassphrase) };
  if (rest.kind === 'local') return withoutUndefined({ ...rest, ...common });
  const { accessKey, secretKey, sessionToken, serverSideEncryption, ...s3 } = rest;
  return withoutUndefined({
    ...s3,
    ...common,
    accessKey: await read(accessKey),
    secretKey: await read(secretKey),
    sessionToken: await read(sessionToken),
    kmsKeyId: serverSideEncryption?.type === 'aws:kms' ? serverSideEncryption.kmsKeyId : undefined,
  });
}

/** Loaded only where a repository is its own: whoever lists the backups of another engine does not wait for it. */
async function nativeEngine(repositories: readonly RepositoryConfig[], parts: EngineParts) {
  const { createNativeEngine } = await import('./adapters/native/adapter.ts');
  const { runner, clock, postgres, postgresWriter } = parts;
  return createNativeEngine({ settings: nativeSettings(repositories, parts), runner, clock, postgres, postgresWriter });
}

function nativeSettings(repositories: readonly RepositoryConfig[], parts: EngineParts): NativeSettings {
  const { configuration, cluster, user, instance, access } = parts;
  const { compressType, compressLevel, maxRateKib, backupFrom } = cluster.native;
  return {
    cluster: cluster.name,
    directory: `${configuration.stateDirectory}/native/${cluster.name}`,
    // Beside dist/ of what is installed, and beside src/.
    programDirectory: join(import.meta.dirname, '../bin'),
    async binDirectoryOf(postgresMajor) {
      const installation = await instance.findInstallation(postgresMajor, { signal: parts.secrets.signal });
      if (installation !== undefined) return installation.binDirectory;
      throw new SpokeError('TOOL_MISSING', `PostgreSQL ${postgresMajor} is not installed here`, {
        hint: `Install its programs, or name their directory: postgresqlBinDirectory of ${cluster.name} in the configuration.`,
      });
    },
    ...{ compressType, compressLevel, backupFrom, ack: cluster.archiving.ack, ackTimeoutSeconds: cluster.archiving.ackTimeoutSeconds },
    ...(maxRateKib === undefined ? {} : { maxRateKib }),
    ...(cluster.encryption === undefined ? {} : { encryption: cluster.encryption }),
    repositories: repositories.map((repository) => nativeRepository(repository, parts)),
    nodes: cluster.nodes.map(({ name, dataDirectory }) => ({
      name,
      ...(dataDirectory === undefined ? {} : { dataDirectory }),
      address: () => access.addressOf(name),
    })),
    ...(user === undefined ? {} : { user }),
  };
}

function nativeRepository(repository: RepositoryConfig, { cluster, secrets, user }: EngineParts): NativeRepository {
  const { name, kind, retention } = repository;
  const root = `native/${cluster.stanza}`;
  let opened: Promise<BlobStore> | undefined;
  return {
    ...{ name, kind, retentionDays: retention.days },
    ...(repository.kind === 'local' ? { directory: join(repository.path, root) } : { access: () => s3AccessOf(repository, root, secrets) }),
    open: () => (opened ??= openBlobStoreOf(repository, root, secrets, user)),
  };
}
