import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { translating } from './file-error.ts';
import type { PgbackrestSettings } from './settings.ts';

/** By one of them pgBackRest knows what it may overwrite (restore.c, "to confirm that this is a valid $PGDATA directory"). */
const MANIFEST = 'backup.manifest';
const KNOWN_BY = ['PG_VERSION', MANIFEST];

/**
 * Lets pgBackRest go on with a restore that was interrupted before its first file: it makes all directories before it writes
 * its manifest, and takes them for somebody else's. An empty manifest in its place is replaced by its own.
 */
export async function markAsHalfRestored(dataDirectory: string, { user }: PgbackrestSettings): Promise<void> {
  await translating(`look into ${dataDirectory}`, async () => {
    const names = await readdir(dataDirectory);
    if (names.length === 0 || KNOWN_BY.some((name) => names.includes(name))) return;
    const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
    const file = await open(join(dataDirectory, MANIFEST), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      if (user !== undefined) await file.chown(user.uid, user.gid);
    } finally {
      await file.close();
    }
  });
}
