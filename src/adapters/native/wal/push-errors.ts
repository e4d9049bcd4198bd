import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { PushError } from '../../../domain/health/archive-facts.ts';
import { classifyWalFile } from '../../../domain/postgres/wal-segment.ts';
import type { NativeSettings } from '../settings.ts';
import { errorsOf, failedOf } from './places.ts';

const MOST_READ = 20;

/**
 * What spoke-wal-push and the shipper have noted: files of two lines. The first names the repository (notes of a file), or the file (notes of a
 * repository); the second says why. Empty where there is no spool here, or it may not be read.
 */
export async function readPushErrors(settings: NativeSettings): Promise<readonly PushError[]> {
  const known = (name: string) => settings.repositories.find((repository) => repository.name === name)?.name;
  const failed = await notesIn(failedOf(settings), (name) => classifyWalFile(name) !== 'other');
  const stuck = await notesIn(errorsOf(settings), (name) => known(name) !== undefined);
  return [
    ...failed.map(({ name, subject, message }) => pushError(name, known(subject), message)),
    ...stuck.map(({ name, subject, message }) => pushError(subject, known(name), message)),
  ];
}

function pushError(segment: string, repository: RepositoryName | undefined, message: string): PushError {
  return { ...(segment === '' ? {} : { segment }), ...(repository === undefined ? {} : { repository }), message };
}

async function notesIn(directory: string, isNote: (name: string) => boolean) {
  const names = (await readdir(directory).catch(() => [])).filter((name) => isNote(name)).sort();
  const notes = await Promise.all(
    names.slice(0, MOST_READ).map(async (name) => {
      // Gone as soon as it has succeeded.
      const [subject = '', message = ''] = (await readFile(join(directory, name), 'utf8').catch(() => '')).split('\n');
      return { name, subject, message };
    }),
  );
  return notes.filter(({ message }) => message !== '');
}
