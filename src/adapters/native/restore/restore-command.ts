import { join } from 'node:path';
import type { RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { NativeSettings } from '../settings.ts';

type Settings = Pick<NativeSettings, 'directory' | 'programDirectory'>;

/**
 * From the repository that was chosen alone, so that its window is what counts. spoke-wal-get exits with 1 for "not in the archive" and with more
 * for trouble, which PostgreSQL would take for the end of the archive all the same unless it is above 125: then recovery stops instead of
 * ending early (RestoreArchivedFile, xlogarchive.c).
 */
export function restoreCommand(settings: Settings, repository: RepositoryName): string {
  return `${walGet(settings, repository, [])}; code=$?; test $code -le 1 || code=200; exit $code`;
}

/** The same while the server is beside: what was fetched ahead is asked for first. */
export function replayRestoreCommand(settings: Settings, repository: RepositoryName, replayPlace: string): string {
  return `${walGet(settings, repository, ['-a', replayPlace])}; code=$?; test $code -le 1 || code=200; exit $code`;
}

function walGet({ directory, programDirectory }: Settings, repository: RepositoryName, options: readonly string[]): string {
  const argv = [join(programDirectory, 'spoke-wal-get'), '-c', join(directory, 'wal.conf'), '-r', repository, ...options];
  return `${argv.map(shellWord).join(' ')} %f "%p"`;
}

/** For a command that PostgreSQL hands to a shell, where it takes `%` for the beginning of a placeholder. */
function shellWord(word: string): string {
  const escaped = word.replaceAll('%', '%%');
  return /^[\w@%+=:,./-]+$/.test(escaped) ? escaped : `'${escaped.replaceAll("'", `'\\''`)}'`;
}
