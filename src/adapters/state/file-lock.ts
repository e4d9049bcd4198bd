import { link, readFile, rename } from 'node:fs/promises';
import { SpokeError } from '../../errors.ts';
import { removeIfThere, writeTemporary } from './durable.ts';
import { errnoOf } from '../common/file-error.ts';
import { type ProcessIdentity, isStillThere } from './process-identity.ts';

/** The content of a lock file. `token` is unique to one taking of the lock. */
export interface LockRecord extends ProcessIdentity {
  readonly token: string;
  readonly host: string;
}

/** What the lock file was found to hold. A file that is no JSON at all can only stem from a crash of the machine: it was linked whole. */
type FoundLock = LockRecord | 'unreadable';

/**
 * Takes the lock file `path` in `directory` if it is free or its holder is gone; else says who holds it. The file is made whole
 * under another name and then linked into place: link(2) fails where the name is taken. Of several who take over a stale one
 * exactly one wins, because whoever wants to replace it has to take a lock named after it first; and since that one is taken
 * in the same way, a taker who dies in between blocks nobody.
 */
export async function takeFileLock(directory: string, path: string, record: LockRecord): Promise<LockRecord | undefined> {
  const temporary = await writeTemporary(directory, JSON.stringify(record));
  try {
    for (;;) {
      if (await linkInto(temporary, path)) return undefined;
      const found = await readLock(path);
      if (found === undefined) continue;
      if (found !== 'unreadable' && (await isStillThere(found, record)) !== 'gone') return found;
      const replaced = await replaceStale(directory, temporary, path, found, record);
      if (replaced === true) return undefined;
      if (replaced !== false) return replaced;
    }
  } finally {
    await removeIfThere(temporary);
  }
}

/** Idempotent; never removes a lock that is not ours. */
export async function releaseFileLock(path: string, token: string): Promise<void> {
  const found = await readLock(path);
  if (found !== undefined && tokenOf(found) === token) await removeIfThere(path);
}

/** False where the name is taken. */
export async function linkInto(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === 'EEXIST') return false;
    throw thrown;
  }
}

/** False where somebody else was faster: look again. Whoever replaces it right now where that is another: he will hold it. */
async function replaceStale(
  directory: string,
  temporary: string,
  path: string,
  stale: FoundLock,
  record: LockRecord,
): Promise<boolean | LockRecord> {
  const guard = `${path}.${tokenOf(stale)}`;
  const guardRecord = { ...record, token: crypto.randomUUID() };
  const taker = await takeFileLock(directory, guard, guardRecord);
  if (taker !== undefined) return taker;
  try {
    // While we hold the guard nobody else replaces that file, and its holder is gone.
    const found = await readLock(path);
    if (found === undefined || tokenOf(found) !== tokenOf(stale)) return false;
    await rename(temporary, path);
    return true;
  } finally {
    await releaseFileLock(guard, guardRecord.token);
  }
}

async function readLock(path: string): Promise<FoundLock | undefined> {
  const value = await readRecord(path);
  if (value === undefined || value === 'unreadable') return value;
  if (isLockRecord(value)) return value;
  throw unknownRecord(path);
}

/** The JSON in a file; undefined where there is none, `unreadable` where it is none. */
export async function readRecord(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
  try {
    return JSON.parse(text);
  } catch {
    return 'unreadable';
  }
}

/** What a later version may have written: it is respected. */
export function unknownRecord(path: string): SpokeError {
  return new SpokeError('LOCKED', `The lock ${path} is held by something that this version does not know.`, {
    details: { lockFile: path },
    hint: `Once you know that nothing runs on that cluster: rm ${path}`,
  });
}

export function isLockRecord(value: unknown): value is LockRecord {
  if (typeof value !== 'object' || value === null) return false;
  const hasTexts = ['token', 'host'].every((name) => typeof Reflect.get(value, name) === 'string');
  return hasTexts && /^[0-9a-f-]{32,36}$/.test(String(Reflect.get(value, 'token'))) && Number.isInteger(Reflect.get(value, 'pid'));
}

function tokenOf(found: FoundLock): string {
  return found === 'unreadable' ? found : found.token;
}
