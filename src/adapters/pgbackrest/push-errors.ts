import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PushError } from '../../domain/health/archive-facts.ts';
import { withoutSecrets } from './errors.ts';
import { failureOfStatus } from './failure.ts';
import { secretsOf } from './secrets.ts';
import type { PgbackrestSettings } from './settings.ts';

const ERROR_FILE = /^(.+)\.error$/;
/** An error that has nothing to do with the one segment: no repository could be used at all. */
const GLOBAL = 'global';
const MOST_READ = 20;

/**
 * The errors that asynchronous archive-push left in the spool for segments that wait: a file each, the code in its first line. It
 * takes them away when it tries again. Empty where the spool is not here, or may not be read.
 */
export async function readPushErrors(settings: PgbackrestSettings): Promise<readonly PushError[]> {
  const directory = join(settings.spoolPath, 'archive', settings.stanza, 'out');
  const names = await readdir(directory).catch(() => []);
  const segments = names.flatMap((name) => ERROR_FILE.exec(name)?.[1] ?? []).sort();
  const texts = await Promise.all(
    segments.slice(0, MOST_READ).map(async (segment) => {
      // Gone as soon as a new attempt begins.
      const text = await readFile(join(directory, `${segment}.error`), 'utf8').catch(() => '');
      return { segment, text };
    }),
  );
  return texts.flatMap(({ segment, text }) => pushErrorsOf(segment, text, settings));
}

/** Pure. One error for each repository that the text blames, or one for all where it blames none. */
export function pushErrorsOf(segment: string, text: string, settings: PgbackrestSettings): readonly PushError[] {
  const shown = withoutSecrets(text, secretsOf(settings)).replace(/^\d+\n/, '');
  if (shown.trim() === '') return [];
  const of = segment === GLOBAL ? {} : { segment };
  const blamed = [...shown.matchAll(/^repo(\d+): (\[\w+\] [^]*?)(?=^repo\d+: |(?![^]))/gm)].flatMap(([, index, message]): PushError[] => {
    const repository = settings.repositories.find((one) => one.index === Number(index));
    return repository === undefined ? [] : [{ ...of, repository: repository.name, message: messageOf(message ?? '') }];
  });
  return blamed.length > 0 ? blamed : [{ ...of, message: messageOf(shown) }];
}

function messageOf(text: string): string {
  return failureOfStatus(text.replaceAll(/^(?:HINT: |\[\w+\] on retry after ).*\n?/gm, '')).message;
}
