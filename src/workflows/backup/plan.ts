import type { ClusterConfig } from '../../config/model.ts';
import type { BackupType, BaseBackup, RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { RepositorySnapshot, UnreadableRepository } from '../../domain/catalog/repository-snapshot.ts';
import { SpokeError } from '../../errors.ts';
import type { Plan, Step } from '../../plan/step.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import {
  type EngineObservations,
  type NodeObservation,
  observeEngines,
  observeRepositories,
  observeServers,
  onlyPrimary,
  type RepositoryObservations,
} from '../observe-cluster.ts';

const BACKUP_TIMEOUT_MS = 48 * 60 * 60 * 1000;

/** What a backup run is for. Plain JSON. */
export interface BackupIntent {
  readonly cluster: string;
  readonly type: BackupType;
  readonly repositories: readonly RepositoryName[];
}

export interface BackupFacts {
  readonly repositories: RepositoryObservations;
  readonly nodes: readonly NodeObservation[];
  readonly versions: EngineObservations['versions'];
}

/** Reads the repositories of the intent and asks the nodes. */
export async function observeBackup(
  cluster: ClusterConfig,
  intent: BackupIntent,
  ports: ReadPorts,
  context: OperationContext,
): Promise<BackupFacts> {
  // First what takes longest.
  const [repositories, engines, nodes] = await Promise.all([
    observeRepositories(cluster, intent.repositories, { walArchive: false }, ports, context),
    observeEngines(cluster, intent.repositories, ports, context),
    observeServers(cluster, ports, context),
  ]);
  return { repositories: withoutThoseOf(engines.without, repositories), nodes, versions: engines.versions };
}

/** What an engine keeps that does not work here is as good as unreadable. */
function withoutThoseOf(
  without: readonly UnreadableRepository[],
  { snapshots, unreadable }: RepositoryObservations,
): RepositoryObservations {
  const isWithout = ({ repository }: { readonly repository: string }) => without.some((one) => one.repository === repository);
  return {
    snapshots: snapshots.filter((snapshot) => !isWithout(snapshot)),
    unreadable: [...unreadable.filter((one) => !isWithout(one)), ...without],
  };
}

/** Why no backup can be taken now; undefined where one can. Pure. */
export function reasonAgainstBackup(intent: BackupIntent, { repositories, nodes, versions }: BackupFacts): SpokeError | undefined {
  const primary = onlyPrimary(nodes);
  const { snapshots, unreadable } = repositories;
  if (primary === undefined) return withoutPrimary(nodes);
  const major = primary.server.postgresMajor;
  const old = [...versions.values()].find(({ newestPostgres }) => newestPostgres !== undefined && major > newestPostgres);
  if (old !== undefined)
    return new SpokeError(
      'TOOL_UNSUPPORTED',
      `${old.name} ${old.version} knows PostgreSQL up to ${String(old.newestPostgres)}; ${primary.node.name} is ${major}`,
      { hint: `Install a newer ${old.name}, the same version on every host.` },
    );
  if (snapshots.length === 0)
    return new SpokeError(
      unreadable[0]?.errorCode === 'REPOSITORY_DENIED' ? 'REPOSITORY_DENIED' : 'REPOSITORY_UNAVAILABLE',
      `no repository can be read: ${unreadable.map((one) => `${one.repository}: ${one.message}`).join('; ')}`,
      { details: { repositories: unreadable } },
    );
  const empty = snapshots.find((snapshot) => !snapshot.initialised);
  if (empty !== undefined)
    return new SpokeError('REFUSED_PRECONDITION', `repository ${empty.repository} has not been set up for ${intent.cluster}`, {
      hint: `Set it up: spoke-backup setup archiving --cluster ${intent.cluster}`,
    });
  const foreign = snapshots.find(
    (snapshot) => snapshot.systemIdentifier !== undefined && snapshot.systemIdentifier !== primary.server.systemIdentifier,
  );
  if (foreign !== undefined)
    return new SpokeError(
      'REFUSED_WRONG_CLUSTER',
      `repository ${foreign.repository} belongs to another cluster: its system identifier is ${foreign.systemIdentifier}, that of ${primary.node.name} is ${primary.server.systemIdentifier}`,
      { hint: 'Check which cluster the nodes in the configuration belong to; a new cluster needs a stanza or a path of its own.' },
    );
  return undefined;
}

function withoutPrimary(nodes: readonly NodeObservation[]): SpokeError {
  const primaries = nodes.filter((node) => node.server?.inRecovery === false).map((node) => node.node.name);
  if (primaries.length > 1)
    return new SpokeError('REFUSED_PRECONDITION', `more than one node accepts writes: ${primaries.join(', ')}`, {
      hint: 'Stop the one that was not promoted on purpose before anything else.',
    });
  const found = nodes.map((node) => `${node.node.name}: ${node.server === undefined ? (node.unreachable ?? 'unreachable') : 'standby'}`);
  return new SpokeError('POSTGRES_UNAVAILABLE', `no primary answers (${found.join('; ')})`, { details: { nodes: found } });
}

/** One backup for each repository that does not have this run's yet, one after the other. Pure. */
export function planBackup(intent: BackupIntent, facts: BackupFacts, runId: string): Plan {
  const steps = facts.repositories.snapshots
    .filter((snapshot) => backupOfRun(snapshot, runId) === undefined)
    .map((snapshot) => takeStep(intent, snapshot, runId));
  const warnings = facts.repositories.unreadable.map(
    (one) => `repository ${one.repository} could not be read and gets no backup: ${one.message}`,
  );
  return { steps, warnings };
}

/** The backup that a run left in a repository. */
export function backupOfRun(snapshot: RepositorySnapshot, runId: string): BaseBackup | undefined {
  return snapshot.backups.find((backup) => backup.annotations['spoke-run'] === runId);
}

function takeStep(intent: BackupIntent, snapshot: RepositorySnapshot, runId: string): Step {
  const hasFull = snapshot.backups.some((backup) => backup.type === 'full');
  const type = hasFull ? intent.type : 'full';
  return {
    id: `take-backup:${snapshot.repository}`,
    kind: 'take-backup',
    effect: 'write',
    title: `Take a ${type} backup into repository ${snapshot.repository}`,
    reason: type === intent.type ? 'as asked' : `there is no full backup yet that ${article(intent.type)} could build on`,
    probe: `the catalogue shows a backup annotated spoke-run=${runId}`,
    timeoutMs: BACKUP_TIMEOUT_MS,
    retry: 'transient',
    onFailure: 'continue',
    repository: snapshot.repository,
    type,
    runId,
  };
}

function article(type: BackupType): string {
  return type === 'incr' ? 'an incremental' : type === 'diff' ? 'a differential' : 'a full';
}
