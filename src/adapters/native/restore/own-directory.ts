import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import type { NativeParts } from '../parts.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

/** A new directory of the owner of data directories, 0700. */
export async function makeOwnDirectory({ settings: { user } }: Pick<NativeParts, 'settings'>, path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  if (user === undefined || process.geteuid?.() !== 0) return;
  const directory = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  await directory.chown(user.uid, user.gid).finally(() => directory.close());
}
