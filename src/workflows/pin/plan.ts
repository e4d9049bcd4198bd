import type { ClusterConfig } from '../../config/model.ts';
import type { BackupLabel, BaseBackup, RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../domain/catalog/repository-snapshot.ts';
import { formatUntil, PIN_ANNOTATION, type Pin, pinOfAnnotation, pinToAnnotation, untilOfText } from '../../domain/retention/pin.ts';
import { SpokeError } from '../../errors.ts';
import type { Plan, Step, StepBase } from '../../plan/step.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { observeRepositories, type RepositoryObservations } from '../observe-cluster.ts';

const STEP_TIMEOUT_MS = 2 * 60_000;

/** What pinning or unpinning a backup is for. Plain JSON. */
export interface PinIntent {
  readonly cluster: string;
  readonly label: BackupLabel;
  /** Where it is to be looked for. */
  readonly repositories: readonly RepositoryName[];
  /** Null: the pin is taken away. */
  readonly pin: { readonly until: string; readonly reason: string } | null;
}

export interface PinFacts {
  readonly repositories: RepositoryObservations;
  /** In the state directory. */
  readonly pins: readonly Pin[];
}

export async function observePin(
  cluster: ClusterConfig,
  intent: PinIntent,
  ports: ReadPorts,
  context: OperationContext,
): Promise<PinFacts> {
  const [repositories, pins] = await Promise.all([
    observeRepositories(cluster, intent.repositories, { walArchive: false }, ports, context),
    ports.pins.list(cluster.name),
  ]);
  return { repositories, pins };
}

/**
 * A pin goes into the state directory first, from where on it holds, and then to its backup; it is taken away the other way round.
 * Pure. Throws NO_BACKUP where no repository that could be read has the backup.
 */
export function planPin(intent: PinIntent, { repositories, pins }: PinFacts): Plan {
  const found = repositories.snapshots.flatMap((snapshot) => backupIn(snapshot, intent.label) ?? []);
  const isKnown = found.length > 0 || (intent.pin === null && pins.some(({ label }) => label === intent.label));
  if (!isKnown)
    throw new SpokeError('NO_BACKUP', `no repository has a backup ${intent.label}`, { hint: 'See what there is: spoke-backup backups' });
  const steps = intent.repositories.flatMap((repository) => {
    const backup = found.find((one) => one.repository === repository);
    const stored = pins.find((pin) => pin.repository === repository && pin.label === intent.label);
    return intent.pin === null ? unpinSteps(intent, repository, backup, stored) : pinSteps(intent, intent.pin, backup, stored);
  });
  return { steps, warnings: repositories.unreadable.map((one) => `repository ${one.repository} could not be read: ${one.message}`) };
}

function backupIn(snapshot: RepositorySnapshot, label: BackupLabel): BaseBackup | undefined {
  return snapshot.backups.find((backup) => backup.label === label);
}

function pinSteps(
  { cluster }: PinIntent,
  wanted: NonNullable<PinIntent['pin']>,
  backup: BaseBackup | undefined,
  stored: Pin | undefined,
): readonly Step[] {
  if (backup === undefined) return [];
  const { repository, label } = backup;
  const pin: Pin = { repository, label, until: untilOfText(wanted.until), reason: wanted.reason };
  const isStored = stored?.until === pin.until && stored.reason === pin.reason;
  const isAnnotated = backup.annotations[PIN_ANNOTATION] === pinToAnnotation(pin);
  return [
    ...(isStored ? [] : [saveStep(cluster, pin)]),
    ...(isAnnotated ? [] : [annotateStep(backup, pinToAnnotation(pin), 'a lost state directory does not lose the pin', 'continue')]),
  ];
}

function unpinSteps(
  { cluster, label }: PinIntent,
  repository: RepositoryName,
  backup: BaseBackup | undefined,
  stored: Pin | undefined,
): readonly Step[] {
  const isAnnotated = backup !== undefined && pinOfAnnotation(backup) !== undefined;
  return [
    ...(isAnnotated ? [annotateStep(backup, '', 'the pin is no longer wanted', 'stop')] : []),
    ...(stored === undefined ? [] : [removeStep(cluster, repository, label)]),
  ];
}

function saveStep(cluster: string, pin: Pin): Step {
  const { repository, label } = pin;
  const title = `Pin ${label} in repository ${repository} (${formatUntil(pin.until)})`;
  const base = step(`save-pin:${repository}`, title, pin.reason, 'the state directory has the pin', 'stop');
  return { ...base, kind: 'save-pin', cluster, pin };
}

function removeStep(cluster: string, repository: RepositoryName, label: BackupLabel): Step {
  const title = `Take the pin of ${label} in repository ${repository} away`;
  const base = step(`remove-pin:${repository}`, title, 'it is no longer wanted', 'the state directory has no such pin', 'stop');
  return { ...base, kind: 'remove-pin', cluster, repository, label };
}

function annotateStep({ repository, label }: BaseBackup, value: string, reason: string, onFailure: StepBase['onFailure']): Step {
  const title = value === '' ? `Take the note of the pin from ${label}` : `Note the pin with ${label} in repository ${repository}`;
  const base = step(`annotate-backup:${repository}`, title, reason, 'the catalogue shows it', onFailure);
  return { ...base, kind: 'annotate-backup', repository, label, key: PIN_ANNOTATION, value };
}

function step(id: string, title: string, reason: string, probe: string, onFailure: StepBase['onFailure']): StepBase {
  return { id, effect: 'write', title, reason, probe, timeoutMs: STEP_TIMEOUT_MS, retry: 'transient', onFailure };
}
