import type { BackupEngine, CommandPreview, RestoreRequest } from '../../../ports/backup-engine.ts';
import type { NativeCatalog } from '../catalog/catalog.ts';
import { translating } from '../file-error.ts';
import type { NativeParts } from '../parts.ts';
import type { NativeArchiving } from '../wal/archiving.ts';
import { beginReplay, endReplay } from './replay.ts';
import { restoreBackup } from './restore-backup.ts';
import { recipeRestoreCommand, replayRestoreCommand, restoreCommand, standbyRestoreCommand } from './restore-command.ts';
import { replayPlaceOf } from './work-files.ts';

/** The part of the engine's port that restores. */
type NativeRestores = Pick<
  BackupEngine,
  'previewRestore' | 'restoreBackup' | 'replaySettings' | 'standbySettings' | 'standbyRecipe' | 'beginReplay' | 'endReplay'
>;

/** `wal`: what restore_command reads. */
export function createRestores(
  parts: NativeParts,
  catalog: NativeCatalog,
  wal: Pick<NativeArchiving, 'isConfigurationCurrent' | 'writeConfiguration'>,
): NativeRestores {
  const { settings } = parts;
  return {
    previewRestore: (request) => previewRestore(request),
    async restoreBackup(request, context) {
      if (!(await wal.isConfigurationCurrent())) await wal.writeConfiguration();
      const command = restoreCommand(settings, request.repository);
      await translating(`restore into ${request.dataDirectory}`, () => restoreBackup(parts, catalog, request, command, context));
    },
    replaySettings: (replay) => ({ restore_command: replayRestoreCommand(settings, replay.repository, replayPlaceOf(replay)) }),
    standbySettings: (repository) => ({ restore_command: standbyRestoreCommand(settings, repository) }),
    standbyRecipe: () => ({ restoreCommand: recipeRestoreCommand(settings) }),
    beginReplay: (replay) => translating(`fetch WAL ahead in ${replay.workDirectory}`, () => beginReplay(parts, replay)),
    endReplay: (replay, context) => endReplay(replay, context),
  };
}

/** The archives as they are called in the repository; each of a chain would be extracted beside the others. */
function previewRestore({
  repository,
  label,
  dataDirectory,
  tablespaceMap,
  workDirectory,
  standby,
}: RestoreRequest): readonly CommandPreview[] {
  const extract = (name: string, into: string): CommandPreview => ({
    argv: ['tar', '--extract', `(${repository}:${label}/${name})`, `--directory=${into}`],
  });
  return [
    extract('base.tar', dataDirectory),
    ...tablespaceMap.map(({ oid, location }) => extract(`${oid}.tar`, location)),
    { argv: ['pg_verifybackup', '--no-parse-wal', `--manifest-path=${workDirectory}/backup_manifest`, dataDirectory] },
    { argv: ['(write)', `${dataDirectory}/postgresql.auto.conf`, `${dataDirectory}/${standby === true ? 'standby' : 'recovery'}.signal`] },
    { argv: ['initdb', '--sync-only', '--pgdata', dataDirectory] },
    { argv: ['mv', `${dataDirectory}/global/pg_control.restoring`, `${dataDirectory}/global/pg_control`] },
  ];
}
