import { createSystemClock } from './adapters/clock/clock.ts';
import { createProcessRunner } from './adapters/process/index.ts';
import { reading, storing, type TransformParts } from './adapters/native/transform.ts';
import type { TailCodec } from './adapters/wal-stream/codec.ts';
import { stageTail } from './adapters/wal-stream/stage.ts';
import { createTailStore, readTail } from './adapters/wal-stream/tail-store.ts';
import { createWalStream, localTail } from './adapters/wal-stream/wal-stream.ts';
import type { ClusterConfig, Configuration, RepositoryConfig } from './config/model.ts';
import { openBlobStoreOf } from './composition-stores.ts';
import type { SecretContext } from './config/resolve-secret.ts';
import type { RepositoryName } from './domain/catalog/base-backup.ts';
import { mergedTail } from './domain/catalog/wal-tail.ts';
import { storedSuffix } from './domain/native/layout.ts';
import { SpokeError } from './errors.ts';
import type { BlobStore } from './ports/blob-store.ts';
import type { FileOwner, InstanceReader } from './ports/instance.ts';
import type { OperationContext } from './ports/operation.ts';
import type { TailStore, WalStream, WalTailReader, WalTailStager } from './ports/wal-stream.ts';

/** What is stored every few seconds has to take little. */
const TAIL_COMPRESS_LEVEL = 1;

/** What streamed WAL of one cluster is kept and found with. */
export interface StreamingParts {
  readonly configuration: Configuration;
  readonly cluster: ClusterConfig;
  readonly instance: Pick<InstanceReader, 'findInstallation'>;
  /** Whom files belong to and programs run as, where we are root. */
  readonly user: FileOwner | undefined;
  readonly secrets: SecretContext;
}

export interface Streaming {
  readonly stream: WalStream;
  readonly tails: WalTailReader;
  readonly tailStager: WalTailStager;
  openTail(repository: RepositoryConfig): Promise<TailStore>;
}

/** Reads no secret and opens nothing before it is used. */
export function composeStreaming(parts: StreamingParts): Streaming {
  const { cluster } = parts;
  const stream = streamOf(parts);
  const codec = codecOf(cluster);
  const using = async <T>(name: RepositoryName, use: (store: BlobStore) => Promise<T>): Promise<T> => {
    const store = await openStore(repositoryOf(cluster, name), parts);
    try {
      return await use(store);
    } finally {
      store.close();
    }
  };
  return {
    stream,
    tails: {
      readTail: async (name, context) => mergedTail(await using(name, (store) => readTail(store, context)), localTail(await stream.look())),
    },
    tailStager: {
      stageTail: (request, context) => using(request.repository, (store) => stageTail({ store, codec, stream }, request, context)),
    },
    openTail: async (repository) => createTailStore(repository.name, await openStore(repository, parts), codec),
  };
}

/** As the native engine stores WAL: whoever can read one can read the other. */
function codecOf({ encryption }: ClusterConfig): TailCodec {
  const settings = { compressLevel: TAIL_COMPRESS_LEVEL, ...(encryption === undefined ? {} : { encryption }) };
  const parts: TransformParts = { runner: createProcessRunner(), settings };
  return {
    suffix: storedSuffix('zst', encryption !== undefined),
    store: (content, context) => storing(parts, 'zst', content, context),
    read: (storedName, stored, context) => reading(parts, storedName, stored, context),
  };
}

function streamOf({ configuration, cluster, instance, user }: StreamingParts): WalStream {
  return createWalStream({
    directory: `${configuration.stateDirectory}/wal-stream/${cluster.name}`,
    ...(user === undefined ? {} : { user }),
    applicationName: `spoke-backup ${cluster.name}`,
    runner: createProcessRunner(),
    clock: createSystemClock(),
    async programOf(major: number, context: OperationContext) {
      const found = await instance.findInstallation(major, context);
      // A newer one serves older servers; it says so itself where it does not.
      return found === undefined ? 'pg_receivewal' : `${found.binDirectory}/pg_receivewal`;
    },
  });
}

function repositoryOf({ repositories }: ClusterConfig, name: RepositoryName): RepositoryConfig {
  const found = repositories.find((repository) => repository.name === name);
  if (found === undefined) throw new SpokeError('USAGE', `there is no repository "${name}"`);
  return found;
}

/** Of no engine: beside what engines keep, and by the stanza, since clusters may share a place. */
function openStore(repository: RepositoryConfig, { cluster, secrets, user }: StreamingParts): Promise<BlobStore> {
  return openBlobStoreOf(repository, `spoke-backup/${cluster.stanza}`, secrets, user);
}
