import type { ClusterConfig } from '../../config/model.ts';
import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { RepositorySnapshot, UnreadableRepository } from '../../domain/catalog/repository-snapshot.ts';
import { pinOfAnnotation, strongestPins } from '../../domain/retention/pin.ts';
import type { ClockComparison, OwnExpiry, RetentionFacts, RetentionPolicy } from '../../domain/retention/policy.ts';
import { instantOfMicros, secondsBetween } from '../../domain/time/instant.ts';
import { asSpokeError } from '../../errors.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { StoredRun } from '../../ports/run-store.ts';
import { observeEngines, observeServers, observeRepositories, onlyPrimary } from '../observe-cluster.ts';
import { type BucketFacts, observeBucket } from './bucket.ts';
import { hasLeftovers, lastBackupFailure } from './history.ts';
import { verdictsOf } from './verdicts.ts';

/** What a run of expiry is for. Plain JSON. */
export interface ExpireIntent {
  readonly cluster: string;
  readonly repositories: readonly RepositoryName[];
  /** Whether the name of the cluster was typed. */
  readonly confirmed: boolean;
  /** From when the days are counted: a resumed run takes no more than was decided then. Microseconds since the epoch. */
  readonly decidedAtMicros: string;
}

/** Of one repository. */
export interface RepositoryExpiry {
  readonly policy: RetentionPolicy;
  readonly facts: RetentionFacts;
  /** Whether an expiry was interrupted here, so that files may lie there that no catalogue names. */
  readonly hasLeftovers: boolean;
  readonly bucket?: BucketFacts;
}

export interface ExpireFacts {
  readonly repositories: readonly RepositoryExpiry[];
  readonly unreadable: readonly UnreadableRepository[];
}

/** Reads the repositories of the intent, pins, what earlier runs found, and the clock of the primary. */
export async function observeExpire(
  cluster: ClusterConfig,
  intent: ExpireIntent,
  ports: ReadPorts,
  context: OperationContext,
): Promise<ExpireFacts> {
  await observeEngines(cluster, intent.repositories, ports, context);
  const [{ snapshots, unreadable }, runs, pins, clocks] = await Promise.all([
    observeRepositories(cluster, intent.repositories, { walArchive: true }, ports, context),
    ports.runs.list(),
    ports.pins.list(cluster.name),
    observeClocks(cluster, ports, context),
  ]);
  const ofCluster = runs.filter(({ header }) => header.cluster === cluster.name);
  const shared = { runs: ofCluster, pins, clocks };
  const repositories: RepositoryExpiry[] = [];
  // One after the other: a dry run of the engine takes its lock.
  for (const snapshot of snapshots.filter(({ initialised }) => initialised))
    repositories.push(await observeRepository(cluster, intent, snapshot, shared, ports, context));
  return { repositories, unreadable };
}

async function observeRepository(
  cluster: ClusterConfig,
  intent: ExpireIntent,
  snapshot: RepositorySnapshot,
  { runs, pins, clocks }: { readonly runs: readonly StoredRun[] } & Pick<RetentionFacts, 'pins' | 'clocks'>,
  ports: ReadPorts,
  context: OperationContext,
): Promise<RepositoryExpiry> {
  const name = snapshot.repository;
  const now = instantOfMicros(BigInt(intent.decidedAtMicros));
  const failedAt = lastBackupFailure(runs, name);
  const bucket = await observeBucket(name, now, ports, context);
  return {
    policy: policyOf(cluster, name),
    hasLeftovers: hasLeftovers(runs, name),
    ...(bucket === undefined ? {} : { bucket }),
    facts: {
      snapshot,
      now,
      pins: strongestPins([
        ...pins.filter(({ repository }) => repository === name),
        ...snapshot.backups.flatMap((backup) => pinOfAnnotation(backup) ?? []),
      ]),
      verdicts: verdictsOf(runs, name),
      ...(failedAt === undefined ? {} : { backupFailedAt: failedAt }),
      clocks,
      own: await observeOwnExpiry(name, ports, context),
      confirmed: intent.confirmed,
    },
  };
}

function policyOf(cluster: ClusterConfig, name: RepositoryName): RetentionPolicy {
  const found = cluster.repositories.find((repository) => repository.name === name);
  if (found === undefined) throw new RangeError(`there is no repository ${name}`);
  return found.retention;
}

async function observeOwnExpiry(
  name: RepositoryName,
  ports: ReadPorts,
  context: OperationContext,
): Promise<OwnExpiry | { readonly unavailable: string }> {
  try {
    return await ports.catalog.readOwnExpiry(name, context);
  } catch (thrown) {
    const error = asSpokeError(thrown);
    if (error.code === 'CANCELLED' || error.code === 'TERMINATED' || error.code === 'INTERNAL') throw error;
    return { unavailable: error.message };
  }
}

/** The server runs on this machine as a rule, and says then no more than our own clock does; where it does not, it says a lot. */
async function observeClocks(cluster: ClusterConfig, ports: ReadPorts, context: OperationContext): Promise<readonly ClockComparison[]> {
  const primary = onlyPrimary(await observeServers(cluster, ports, context));
  if (primary === undefined) return [];
  return [{ whose: `the server ${primary.node.name}`, aheadSeconds: secondsBetween(ports.clock.now(), primary.server.serverTime) }];
}
