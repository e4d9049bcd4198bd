import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ifReadable } from './file-error.ts';

/** The major version of a data directory; undefined where it is none. A database's own directory has PG_VERSION too, but no `global`. */
export async function majorOf(realPath: string): Promise<number | undefined> {
  const text = (await ifReadable(readFile(join(realPath, 'PG_VERSION'), 'utf8')))?.trim();
  if (text === undefined || !/^\d+$/.test(text)) return undefined;
  const global = await ifReadable(stat(join(realPath, 'global')));
  return global?.isDirectory() ? Number(text) : undefined;
}
