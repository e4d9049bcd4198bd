import { join } from 'node:path';
import type { RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { NativeSettings } from '../settings.ts';
import { confFileOf } from '../wal/places.ts';
import { shellWord } from '../wal/shell-word.ts';

type Settings = Pick<NativeSettings, 'directory' | 'programDirectory' | 'repositories'>;

/**
 * From the repository that was chosen alone, so that its window is what counts. spoke-wal-get exits with 1 for "not in the archive" and with more
 * for trouble, which PostgreSQL would take for the end of the archive all the same unless it is above 125: then recovery stops instead of
 * ending early (RestoreArchivedFile, xlogarchive.c).
 */
export function restoreCommand(settings: Settings, repository: RepositoryName): string {
  return `${walGet(settings, repository, [])}; code=$?; test $code -le 1 || code=200; exit $code`;
}

/**
 * For a standby's every day. It asks again and again, and streams meanwhile: so trouble with the repository must not end the server, as anything
 * above 125 would, also while it is being promoted.
 */
export function standbyRestoreCommand(settings: Settings, repository: RepositoryName): string {
  return `${walGet(settings, repository, [])} || exit 1`;
}

/** That of a restore while the server is beside: what was fetched ahead is asked for first. */
export function replayRestoreCommand(settings: Settings, repository: RepositoryName, replayPlace: string): string {
  return `${walGet(settings, repository, ['-a', replayPlace])}; code=$?; test $code -le 1 || code=200; exit $code`;
}

/** Of every repository; its exit codes are never above 125, so no failure ends the standby. */
export function recipeRestoreCommand(settings: Settings): string {
  return `${[join(settings.programDirectory, 'spoke-wal-get'), '-c', confFileOf(settings)].map(shellWord).join(' ')} %f "%p"`;
}

function walGet(settings: Settings, repository: RepositoryName, options: readonly string[]): string {
  const argv = [join(settings.programDirectory, 'spoke-wal-get'), '-c', confFileOf(settings), '-r', repository, ...options];
  return `${argv.map(shellWord).join(' ')} %f "%p"`;
}
