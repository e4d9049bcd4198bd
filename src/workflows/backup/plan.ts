import type { ClusterConfig } from '../../config/model.ts';
import type { BackupType, BaseBackup, RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { RepositorySnapshot, UnreadableRepository } from '../../domain/catalog/repository-snapshot.ts';
import { SpokeError } from '../../errors.ts';
import type { Plan, Step, StepOf } from '../../plan/step.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { StoredRun } from '../../ports/run-store.ts';
import { verdictsOf } from '../expire/verdicts.ts';
import { type ChosenType, chooseType, type WithoutIncremental } from './choose-type.ts';
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
  readonly withoutIncremental: WithoutIncremental;
  /** What verifications have found; read only where a backup may be relative to another. */
  readonly runs: readonly StoredRun[];
}

/** Reads the repositories of the intent and asks the nodes. */
export async function observeBackup(
  cluster: ClusterConfig,
  intent: BackupIntent,
  ports: ReadPorts,
  context: OperationContext,
): Promise<BackupFacts> {
  // First what takes longest.
  const [repositories, engines, nodes, runs] = await Promise.all([
    observeRepositories(cluster, intent.repositories, { walArchive: false }, ports, context),
    observeEngines(cluster, intent.repositories, ports, context),
    observeServers(cluster, ports, context),
    intent.type === 'full' ? [] : ports.runs.list({ verbs: ['verify'], cluster: cluster.name }),
  ]);
  return {
    runs,
    repositories: withoutThoseOf(engines.without, repositories),
    nodes,
    versions: engines.versions,
    withoutIncremental: cluster.native.withoutIncremental,
  };
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
export function reasonAgainstBackup(intent: BackupIntent, facts: BackupFacts): SpokeError | undefined {
  const { repositories, nodes, versions } = facts;
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
  const chosen = snapshots.map((snapshot) => chosenFor(intent, snapshot, facts));
  if (chosen.every(({ type }) => type === 'nothing'))
    return new SpokeError('REFUSED_PRECONDITION', `${chosen[0]?.reason ?? ''}, and withoutIncremental is nothing`, {
      hint: `Take a full one: spoke-backup backup --type full --cluster ${intent.cluster}`,
    });
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

/**
 * One backup for each repository that does not have this run's yet. Where the engine copies into several at once, those that get the same
 * do: the first takes it for all, and each of the others has a step of its own that takes what did not come along. Pure.
 */
export function planBackup(intent: BackupIntent, facts: BackupFacts, runId: string): Plan {
  const chosen = facts.repositories.snapshots
    .filter((snapshot) => backupOfRun(snapshot, runId) === undefined)
    .map((snapshot) => ({ repository: snapshot.repository, ...chosenFor(intent, snapshot, facts) }));
  const unread = facts.repositories.unreadable.map(
    (one) => `repository ${one.repository} could not be read and gets no backup: ${one.message}`,
  );
  const left = chosen.flatMap(({ repository, type, reason }) =>
    type === 'nothing' ? [`repository ${repository} gets no backup: ${reason}`] : [],
  );
  const steps = groupsOf(chosen, facts).flatMap((group) => stepsOf(group, runId));
  return { steps: steps.map((step) => ({ ...step, ...placeOf(step.repository, facts) })), warnings: [...unread, ...left] };
}

/** pgBackRest copies files, on the host of the primary; the native engine is sent them by the server. */
function placeOf(repository: RepositoryName, { nodes, versions }: BackupFacts): Pick<Step, 'on'> {
  const primary = onlyPrimary(nodes);
  return primary === undefined || versions.get(repository)?.name !== 'pgbackrest' ? {} : { on: primary.node.name };
}

interface Taking extends ChosenType {
  readonly repository: RepositoryName;
  readonly type: BackupType;
}

function chosenFor(
  intent: BackupIntent,
  snapshot: RepositorySnapshot,
  { nodes, versions, withoutIncremental, runs }: BackupFacts,
): ChosenType {
  const server = onlyPrimary(nodes)?.server;
  if (server === undefined) return { type: intent.type, reason: 'as asked' };
  const verdicts = verdictsOf(runs, snapshot.repository);
  return chooseType(intent.type, snapshot, versions.get(snapshot.repository), server, { withoutIncremental, verdicts });
}

/** What one reading of the database can serve: the same type, relative to the same backup, by one engine that can. */
function groupsOf(
  chosen: readonly (ChosenType & { readonly repository: RepositoryName })[],
  { versions }: BackupFacts,
): readonly Taking[][] {
  const groups = new Map<string, Taking[]>();
  for (const { type, ...rest } of chosen) {
    if (type === 'nothing') continue;
    const version = versions.get(rest.repository);
    const key = version?.copiesIntoSeveral === true ? `${version.name} ${type} ${rest.prior ?? ''}` : `alone in ${rest.repository}`;
    groups.set(key, [...(groups.get(key) ?? []), { type, ...rest }]);
  }
  return [...groups.values()];
}

function stepsOf([first, ...others]: readonly Taking[], runId: string): StepOf<'take-backup'>[] {
  if (first === undefined) return [];
  const alsoInto = others.map(({ repository }) => repository);
  const along = alsoInto.length === 0 ? {} : { alsoInto };
  return [
    { ...takeStep(first, runId), ...along, title: `Take a ${first.type} backup into ${placesOf([first, ...others])}` },
    ...others.map((other) => ({
      ...takeStep(other, runId),
      unlessThere: true as const,
      title: `Take a ${other.type} backup into ${placesOf([other])}, unless it came with that of ${first.repository}`,
    })),
  ];
}

function placesOf(takings: readonly Taking[]): string {
  const names = takings.map(({ repository }) => repository);
  return names.length === 1 ? `repository ${names.join('')}` : `repositories ${names.slice(0, -1).join(', ')} and ${String(names.at(-1))}`;
}

/** The backup that a run left in a repository. */
export function backupOfRun(snapshot: RepositorySnapshot, runId: string): BaseBackup | undefined {
  return snapshot.backups.find((backup) => backup.annotations['spoke-run'] === runId);
}

/** The step whose end says that the repository has its backup. */
export function takeBackupStepId(repository: RepositoryName): string {
  return `take-backup:${repository}`;
}

function takeStep({ repository, type, reason }: Taking, runId: string) {
  return {
    id: takeBackupStepId(repository),
    kind: 'take-backup',
    effect: 'write',
    title: '',
    reason,
    probe: `the catalogue shows a backup annotated spoke-run=${runId}`,
    timeoutMs: BACKUP_TIMEOUT_MS,
    retry: 'transient',
    onFailure: 'continue',
    repository,
    type,
    runId,
  } as const;
}
