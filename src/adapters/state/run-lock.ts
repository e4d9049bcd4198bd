import { link, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { formatInstantIso } from '../../domain/time/instant.ts';
import { SpokeError } from '../../errors.ts';
import type { LockHolder, RunLock } from '../../ports/run-store.ts';
import { makeDirectory, removeIfThere, syncDirectory, writeTemporary } from './durable.ts';
import { errnoOf, translating } from './file-error.ts';
import { type ProcessIdentity, isStillThere, ownIdentity } from './process-identity.ts';

/** The content of a lock file. `token` is unique to one taking of the lock. */
interface LockRecord extends ProcessIdentity {
  readonly token: string;
  readonly key: string;
  readonly runId: string;
  readonly host: string;
  readonly since: string;
}

/** What the lock file was found to hold. A file that is no JSON at all can only stem from a crash of the machine: it was linked whole. */
type FoundLock = LockRecord | 'unreadable';

/**
 * Locks as files in `<stateDirectory>/locks`, made whole under another name and then linked into place: link(2) fails where
 * the name is taken. A lock whose holder is gone is taken over; of several takers exactly one wins, because whoever wants
 * to replace that one stale file has to take a lock named after it first.
 */
export function createRunLock(stateDirectory: string): RunLock {
  const directory = join(stateDirectory, 'locks');
  return {
    acquire: (key, holder) =>
      translating(`take the lock for ${key}`, async () => {
        await makeDirectory(directory);
        const record = await recordFor(key, holder);
        const path = join(directory, lockFileName(key));
        await take(directory, path, record);
        await syncDirectory(directory);
        return { release: () => translating(`release the lock for ${key}`, () => release(path, record.token)) };
      }),
  };
}

/** Readable, and different for different keys. */
function lockFileName(key: string): string {
  const readable = key
    .replaceAll(/[^A-Za-z0-9_-]+/g, '-')
    .slice(-40)
    .replace(/^-+/, '');
  // Loaded here: it takes longer than everything else that a short command loads, and that takes no lock.
  const digest = process.getBuiltinModule('node:crypto').createHash('sha256').update(key).digest('hex');
  return `${readable}-${digest.slice(0, 16)}.lock`;
}

async function recordFor(key: string, holder: LockHolder): Promise<LockRecord> {
  const { runId, host, since } = holder;
  return { ...(await ownIdentity()), token: crypto.randomUUID(), key, runId, host, since: formatInstantIso(since) };
}

/** Throws LOCKED. The guard of a take-over is taken in the same way, so that a taker who dies in between blocks nobody. */
async function take(directory: string, path: string, record: LockRecord): Promise<void> {
  const temporary = await writeTemporary(directory, JSON.stringify(record));
  try {
    for (;;) {
      if (await linkInto(temporary, path)) return;
      const found = await readLock(path);
      if (found === undefined) continue;
      if (found !== 'unreadable' && (await isStillThere(found, record)) !== 'gone') throw locked(path, found, record);
      if (await replaceStale(directory, temporary, path, found, record)) return;
    }
  } finally {
    await removeIfThere(temporary);
  }
}

async function linkInto(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === 'EEXIST') return false;
    throw thrown;
  }
}

/** False where somebody else was faster: look again. While we hold the guard nobody else replaces that file, and its holder is gone. */
async function replaceStale(directory: string, temporary: string, path: string, stale: FoundLock, record: LockRecord): Promise<boolean> {
  const guard = `${path}.${tokenOf(stale)}`;
  const guardRecord = { ...record, token: crypto.randomUUID() };
  await take(directory, guard, guardRecord);
  try {
    const found = await readLock(path);
    if (found === undefined || tokenOf(found) !== tokenOf(stale)) return false;
    await rename(temporary, path);
    return true;
  } finally {
    await release(guard, guardRecord.token);
  }
}

/** Idempotent; never removes a lock that is not ours. */
async function release(path: string, token: string): Promise<void> {
  const found = await readLock(path);
  if (found !== undefined && tokenOf(found) === token) await removeIfThere(path);
}

async function readLock(path: string): Promise<FoundLock | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
  const value = parsed(text);
  if (value === undefined) return 'unreadable';
  if (isLockRecord(value)) return value;
  throw new SpokeError('LOCKED', `The lock ${path} is held by something that this version does not know.`, {
    details: { lockFile: path },
    hint: `Once you know that nothing runs on that cluster: rm ${path}`,
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isLockRecord(value: unknown): value is LockRecord {
  if (typeof value !== 'object' || value === null) return false;
  const hasTexts = ['token', 'runId', 'host', 'since'].every((name) => typeof Reflect.get(value, name) === 'string');
  return hasTexts && /^[0-9a-f-]{32,36}$/.test(String(Reflect.get(value, 'token'))) && Number.isInteger(Reflect.get(value, 'pid'));
}

function tokenOf(found: FoundLock): string {
  return found === 'unreadable' ? found : found.token;
}

function locked(path: string, found: LockRecord, here: LockRecord): SpokeError {
  const message = `${here.key} is in use by the run ${found.runId} (pid ${found.pid} on ${found.host}, since ${found.since}).`;
  const canBeSeen = found.host === here.host && found.pidNamespace === here.pidNamespace;
  return new SpokeError('LOCKED', message, {
    details: { runId: found.runId, pid: found.pid, host: found.host, since: found.since, lockFile: path },
    hint: canBeSeen
      ? `Wait for that run to end, or look at it: spoke-backup runs show ${found.runId}`
      : `Whether that run still lives cannot be seen from here. Once you know that it does not: rm ${path}`,
  });
}
