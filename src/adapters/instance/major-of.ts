import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseVersionFile } from '../../domain/postgres/version-file.ts';
import { ifReadable } from './file-error.ts';

/** The major version of a data directory; undefined where it is none. A database's own directory has PG_VERSION too, but no `global`. */
export async function majorOf(realPath: string): Promise<number | undefined> {
  const text = await ifReadable(readFile(join(realPath, 'PG_VERSION'), 'utf8'));
  const found = parseVersionFile(text ?? '');
  if (found === undefined) return undefined;
  const global = await ifReadable(stat(join(realPath, 'global')));
  return global?.isDirectory() ? found.postgresMajor : undefined;
}
