import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ifReadable } from './file-error.ts';
import { whyForbidden } from './forbidden.ts';
import { majorOf } from './major-of.ts';
import { homeDirectories } from './users.ts';

/** Whether this machine's layout forbids a directory as a target. */
export async function forbiddenBy(realPath: string): Promise<{ forbidden?: string }> {
  const programPaths = [process.execPath, process.argv[1], process.cwd()].filter((path) => path !== undefined);
  const enclosing = await enclosingDataDirectory(realPath);
  const forbidden = whyForbidden(realPath, {
    homes: await homeDirectories(),
    programPaths: await Promise.all(programPaths.map(async (path) => (await ifReadable(realpath(path))) ?? path)),
    ...(enclosing === undefined ? {} : { enclosingDataDirectory: enclosing }),
  });
  return forbidden === undefined ? {} : { forbidden };
}

async function enclosingDataDirectory(realPath: string): Promise<string | undefined> {
  for (let path = dirname(realPath); path !== '/'; path = dirname(path)) if ((await majorOf(path)) !== undefined) return path;
  return undefined;
}
