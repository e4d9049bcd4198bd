import { join } from 'node:path';
import { makeDirectory } from './durable.ts';
import { releaseFileLock, takeFileLock } from './file-lock.ts';
import type { ProcessIdentity } from './process-identity.ts';

export type PlaceHolder = ProcessIdentity & { readonly host: string };

/** Takes the lock of a place for one agent; else says who has it. The lock of a process that is gone is taken over. */
export async function takePlaceLock(
  stateDirectory: string,
  place: string,
  holder: PlaceHolder,
): Promise<PlaceHolder | { release(): Promise<void> }> {
  const directory = join(stateDirectory, 'agents');
  await makeDirectory(directory);
  const path = join(directory, `${place.replaceAll(/[^a-z0-9_-]/g, '.')}.lock`);
  const record = { ...holder, token: crypto.randomUUID() };
  const found = await takeFileLock(directory, path, record);
  return found ?? { release: () => releaseFileLock(path, record.token) };
}
