import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestServer } from './postgres.ts';

const LIBRARIES = '/usr/lib';

/** Where faketime's library lies, which is in a directory of the machine's architecture. Throws where it is not installed. */
export async function faketimeLibrary(): Promise<string> {
  for (const name of await readdir(LIBRARIES)) {
    const found = await readdir(join(LIBRARIES, name, 'faketime')).catch((): string[] => []);
    if (found.includes('libfaketime.so.1')) return join(LIBRARIES, name, 'faketime', 'libfaketime.so.1');
  }
  throw new Error('There is no libfaketime: apt-get install faketime');
}

/** Runs something with the server's clock set back: pgBackRest takes the times of a backup from the server. */
export async function daysAgo<T>(
  server: TestServer,
  days: number,
  settings: Readonly<Record<string, string>>,
  run: () => Promise<T>,
): Promise<T> {
  await server.start(settings, { LD_PRELOAD: await faketimeLibrary(), FAKETIME: `-${days}d` });
  try {
    return await run();
  } finally {
    await server.stop();
  }
}
