import type { ClusterConfig } from '../../config/model.ts';
import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { WantedSetting } from '../../domain/setup/server-settings.ts';
import { archivesToFollow } from '../../domain/topology/standby-archive.ts';
import { asSpokeError } from '../../errors.ts';
import type { BackupEnginePreview } from '../../ports/backup-engine.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ServerObservation } from '../../ports/postgres-server.ts';
import type { SettingFacts } from '../../ports/server-setup.ts';
import { observeRepositories, type RepositoryObservations } from '../observe-cluster.ts';

const NAME = 'restore_command';

/** How a standby gets WAL that its primary no longer has. */
export interface StandbyArchive {
  /** Empty where no archive may be followed. */
  readonly settings: readonly WantedSetting[];
  /** What the engines would have a standby run, for each repository. */
  readonly ours: readonly string[];
  /** Whether the engine's configuration, which that reads, is as it should be on this host. */
  readonly configurationIsCurrent: boolean;
  readonly warnings: readonly string[];
}

/** Looks at the archives as `reseed` does. Where none can be read the standby is set up without: it streams all the same. */
export async function observeStandbyArchive(
  cluster: ClusterConfig,
  primary: ServerObservation,
  engine: Pick<BackupEnginePreview, 'standbySettings'>,
  ports: ReadPorts,
  context: OperationContext,
): Promise<StandbyArchive> {
  const { snapshots, unreadable } = await readable(cluster, ports, context);
  const [first] = archivesToFollow(snapshots, primary);
  const commandOf = (repository: RepositoryName) => engine.standbySettings(repository)[NAME] ?? '';
  const none = `${NAME} is not set: no repository that can be read has WAL of this cluster, and of its timeline alone`;
  return {
    settings: first === undefined ? [] : [wanted(commandOf(first.repository), first.repository)],
    ours: cluster.repositories.map(({ name }) => commandOf(name)),
    configurationIsCurrent: first === undefined || (await ports.catalog.isConfigurationCurrent()),
    warnings: [
      ...unreadable.map((one) => `repository ${one.repository} could not be read: ${one.message}`),
      ...(first === undefined ? [none] : []),
    ],
  };
}

/** What one of the repositories would be asked with stays, and so does what somebody else has thought of. */
function wanted(command: string, repository: RepositoryName): WantedSetting {
  const reason = `it gets from ${repository} what its primary no longer has`;
  return { name: NAME, value: command, rule: 'unlessSet', reason };
}

/** That a command which is none of ours stays. Pure. */
export function ownCommandWarning({ ours }: StandbyArchive, present: readonly SettingFacts[]): readonly string[] {
  const value = present.find(({ name }) => name === NAME)?.value ?? '';
  return value === '' || ours.includes(value) ? [] : [`${NAME} stays as somebody has set it: ${value}`];
}

async function readable(cluster: ClusterConfig, ports: ReadPorts, context: OperationContext): Promise<RepositoryObservations> {
  try {
    return await observeRepositories(cluster, undefined, { walArchive: true }, ports, context);
  } catch (thrown) {
    const { code, message } = asSpokeError(thrown);
    if (code !== 'TOOL_MISSING' && code !== 'TOOL_UNSUPPORTED') throw thrown;
    return {
      snapshots: [],
      unreadable: cluster.repositories.map(({ name, kind }) => ({ repository: name, kind, errorCode: code, message })),
    };
  }
}
