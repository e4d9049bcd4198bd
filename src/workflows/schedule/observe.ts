import type { ClusterConfig } from '../../config/model.ts';
import type { RepositorySnapshot } from '../../domain/catalog/repository-snapshot.ts';
import { learnReplayRate, type ReplaySample } from '../../domain/recovery/estimate.ts';
import type { EarlyFacts, RepositoryFacts } from '../../domain/schedule/early.ts';
import type { EngineFacts } from '../../domain/schedule/engine-facts.ts';
import type { EngineVersion } from '../../ports/backup-engine.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ServerObservation } from '../../ports/postgres-server.ts';
import { reasonWithoutIncremental, type WithoutIncremental } from '../backup/choose-type.ts';
import { observeEngines, observeServers, observeRepositories, onlyPrimary } from '../observe-cluster.ts';

/** A repository that is down must not keep the others waiting for as long as the engine would try to reach it. */
const REPOSITORY_TIMEOUT_MS = 25_000;

/** What decides whether a backup is due before its schedule says so. */
export type EarlyObservation = Omit<EarlyFacts, 'now'> & { readonly repositories: readonly RepositoryFacts[] };

/** `samples`: what the cluster's own restores have replayed, in segments of that size, newest first. */
export async function observeForSchedules(
  cluster: ClusterConfig,
  samples: (segmentBytes: number) => readonly ReplaySample[],
  ports: ReadPorts,
  context: OperationContext,
): Promise<EarlyObservation> {
  const [nodes, { versions }, { snapshots }] = await Promise.all([
    observeServers(cluster, ports, context),
    observeEngines(cluster, undefined, ports, context),
    observeRepositories(cluster, undefined, { walArchive: false }, ports, { ...context, timeoutMs: REPOSITORY_TIMEOUT_MS }),
  ]);
  const server = onlyPrimary(nodes)?.server;
  const { native, objectives } = cluster;
  const learned = samples(server?.walSegmentSizeBytes ?? 0);
  return {
    engines: new Map([...versions].map(([name, version]) => [name, engineFactsOf(version, server, native.withoutIncremental)])),
    ...(server === undefined ? {} : { timeline: server.timeline }),
    ...(objectives?.rtoSeconds === undefined ? {} : { rtoSeconds: objectives.rtoSeconds }),
    repositories: snapshots.filter(({ initialised }) => initialised).map((snapshot) => repositoryFactsOf(snapshot, server, learned)),
  };
}

/** Without a server nobody knows what it can do: the backup itself will ask. */
export function engineFactsOf(
  version: EngineVersion,
  server: Pick<ServerObservation, 'postgresMajor'> | undefined,
  withoutIncremental: WithoutIncremental,
): EngineFacts {
  const lacks = server !== undefined && reasonWithoutIncremental(version, server.postgresMajor) !== undefined;
  return {
    ...(version.copiesIntoSeveral === true ? { together: version.name } : {}),
    ...(lacks ? { withoutIncremental } : {}),
    ...(version.needsFullOnNewTimeline === true ? { needsFullOnNewTimeline: true } : {}),
  };
}

function repositoryFactsOf(
  { repository, kind, readAt, backups }: RepositorySnapshot,
  server: ServerObservation | undefined,
  samples: readonly ReplaySample[],
): RepositoryFacts {
  const last = backups.at(-1);
  const base = { name: repository, kind, readAt, replayRate: learnReplayRate(kind, samples) };
  if (last === undefined) return base;
  const { timeline, startTime, stopTime, databaseBytes, startLsn, systemIdentifier } = last;
  const isOfServer = server?.timeline === timeline && server.systemIdentifier === systemIdentifier;
  const lsn = isOfServer ? server.lsn : undefined;
  return {
    ...base,
    lastBackup: { timeline, startedAt: startTime, endedAt: stopTime, databaseBytes },
    ...(lsn !== undefined && lsn >= startLsn ? { walBytesSinceBackup: lsn - startLsn } : {}),
  };
}
