import type { ClusterConfig } from '../../config/model.ts';
import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import { SpokeError } from '../../errors.ts';
import type { Plan, Step } from '../../plan/step.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { StoredRun } from '../../ports/run-store.ts';
import { observeRepositories, type RepositoryObservations } from '../observe-cluster.ts';

const VERIFY_TIMEOUT_MS = 48 * 60 * 60 * 1000;

/** What a verification is for. Plain JSON. */
export interface VerifyIntent {
  readonly cluster: string;
  readonly repositories: readonly RepositoryName[];
}

export interface VerifyFacts {
  readonly repositories: RepositoryObservations;
  /** Whether the engine's configuration on disk is what its workers have to read. */
  readonly configurationIsCurrent: boolean;
  /** Found sound in this very run. */
  readonly sound: ReadonlySet<RepositoryName>;
}

/** Reads the repositories of the intent, and the run's own journal: a verification leaves nothing else that one could look at. */
export async function observeVerify(
  cluster: ClusterConfig,
  intent: VerifyIntent,
  run: Pick<StoredRun, 'entries'>,
  ports: ReadPorts,
  context: OperationContext,
): Promise<VerifyFacts> {
  const repositories = await observeRepositories(cluster, intent.repositories, { walArchive: false }, ports, context);
  const finished = new Set(run.entries.flatMap((entry) => (entry.kind === 'step-finished' ? [entry.step] : [])));
  return {
    repositories,
    configurationIsCurrent: await ports.catalog.isConfigurationCurrent(),
    sound: new Set(intent.repositories.filter((repository) => finished.has(stepIdOf(repository)))),
  };
}

/** Why nothing can be verified; undefined where something can. Pure. */
export function reasonAgainstVerify(
  intent: VerifyIntent,
  { repositories: { snapshots, unreadable } }: VerifyFacts,
): SpokeError | undefined {
  if (snapshots.length === 0)
    return new SpokeError(
      unreadable[0]?.errorCode === 'REPOSITORY_DENIED' ? 'REPOSITORY_DENIED' : 'REPOSITORY_UNAVAILABLE',
      `no repository can be read: ${unreadable.map((one) => `${one.repository}: ${one.message}`).join('; ')}`,
      { details: { repositories: unreadable } },
    );
  const empty = snapshots.find((snapshot) => !snapshot.initialised);
  if (empty === undefined) return undefined;
  return new SpokeError('REFUSED_PRECONDITION', `repository ${empty.repository} has not been set up for ${intent.cluster}`, {
    hint: `Set it up: spoke-backup setup archiving --cluster ${intent.cluster}`,
  });
}

/** Each repository that this run has not found sound yet, one after the other. Pure. */
export function planVerify(facts: VerifyFacts): Plan {
  const { snapshots, unreadable } = facts.repositories;
  const verifying = snapshots
    .filter((snapshot) => !facts.sound.has(snapshot.repository))
    .map((snapshot) => verifyStep(snapshot.repository));
  const warnings = unreadable.map((one) => `repository ${one.repository} could not be read and is not verified: ${one.message}`);
  return { steps: facts.configurationIsCurrent || verifying.length === 0 ? verifying : [writeConfiguration, ...verifying], warnings };
}

const writeConfiguration: Step = {
  id: 'write-configuration',
  kind: 'write-configuration',
  effect: 'write',
  title: 'Write the configuration of the backup engine',
  reason: 'its processes read it from a file, which is not what it should be',
  probe: 'the file is what would be written',
  timeoutMs: 60_000,
  retry: 'transient',
  onFailure: 'stop',
};

function verifyStep(repository: RepositoryName): Step {
  return {
    id: stepIdOf(repository),
    kind: 'verify-repository',
    effect: 'read',
    title: `Verify repository ${repository}`,
    reason: 'whether what was stored can still be read shows only when it is read',
    probe: "the run's journal says that it was found sound",
    timeoutMs: VERIFY_TIMEOUT_MS,
    retry: 'transient',
    onFailure: 'continue',
    repository,
  };
}

function stepIdOf(repository: RepositoryName): string {
  return `verify-repository:${repository}`;
}
