import type { BackupEngine, BackupRequest, CommandPreview } from '../../../ports/backup-engine.ts';
import type { NativeCatalog } from '../catalog/catalog.ts';
import type { RecentReads } from '../../common/recent-reads.ts';
import { type NativeParts, repositoryOf } from '../parts.ts';
import type { NativeArchiving } from '../wal/archiving.ts';
import { createRepositories } from './create-repositories.ts';
import { takeBackup } from './take-backup.ts';

type NativeBackups = Pick<
  BackupEngine,
  'previewCreateRepositories' | 'createRepositories' | 'previewBackup' | 'takeBackup' | 'previewVerify'
>;

/** The part of the engine's port that sets repositories up and takes backups. */
export function createBackups(
  parts: NativeParts,
  catalog: NativeCatalog,
  wal: Pick<NativeArchiving, 'awaitWal' | 'whileShipping'>,
  recent: RecentReads,
): NativeBackups {
  const { settings } = parts;
  return {
    previewCreateRepositories: () => settings.repositories.map(({ name }) => ({ argv: ['(write)', `cluster.json in repository ${name}`] })),
    createRepositories: (context) => recent.changing(() => createRepositories(parts, catalog, context)),
    previewBackup: (request) => [previewBackup(parts, request)],
    takeBackup: (request, context) => recent.changing(() => takeBackup({ parts, catalog, wal }, request, context)),
    previewVerify: (name) => [{ argv: ['(read)', `every object in repository ${repositoryOf(settings, name).name}`, '(compare SHA-256)'] }],
  };
}

function previewBackup({ settings }: NativeParts, { repository, alsoInto, type }: BackupRequest): CommandPreview {
  const into = [repository, ...(alsoInto ?? [])].map((name) => repositoryOf(settings, name).name).join(',');
  return {
    argv: [
      ...['pg_basebackup', '--format=tar', '--wal-method=none', '--checkpoint=fast'],
      ...(type === 'full' ? [] : ['--incremental=<manifest>']),
      ...(settings.maxRateKib === undefined ? [] : [`--max-rate=${settings.maxRateKib}k`]),
      `--pgdata=<pipes into ${into}>`,
    ],
  };
}
