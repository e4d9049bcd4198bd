import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { NativeParts } from '../parts.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, O_RDONLY, O_DIRECTORY } = constants;

/** Writes a file of a data directory's owner, durable and as a whole, in place of what has that name. */
export async function writeOwned(
  { settings: { user } }: Pick<NativeParts, 'settings'>,
  path: string,
  text: string,
  mode = 0o600,
): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  try {
    await file.writeFile(text);
    if (user !== undefined && process.geteuid?.() === 0) await file.chown(user.uid, user.gid);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path).catch(async (thrown: unknown) => {
    await rm(temporary, { force: true });
    throw thrown;
  });
  await syncDirectory(dirname(path));
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, O_RDONLY | O_DIRECTORY);
  await directory.sync().finally(() => directory.close());
}

export function errnoOf(thrown: unknown): string | undefined {
  const code: unknown = thrown instanceof Error ? Reflect.get(thrown, 'code') : undefined;
  return typeof code === 'string' ? code : undefined;
}
