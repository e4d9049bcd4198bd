import { readdir, readFile, rename } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { CLAIM_VERBS, type Claim } from '../../domain/concurrency/matrix.ts';
import { decideLease, type LeaseHolder, type StoredLease } from '../../domain/lease/lease-document.ts';
import { formatInstantIso, instantOfMicros } from '../../domain/time/instant.ts';
import { SpokeError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { HeldLease, Lease, LeaseStore } from '../../ports/lease.ts';
import { makeDirectory, removeIfThere, syncDirectory, writeTemporary } from './durable.ts';
import { errnoOf } from '../common/file-error.ts';
import { translating } from './file-error.ts';
import { isLockRecord, type LockRecord, readRecord, releaseFileLock, takeFileLock, unknownRecord } from './file-lock.ts';
import { instantOfText } from './instant-text.ts';
import { isStillThere, ownIdentity } from './process-identity.ts';

/** The content of a lease's file. */
interface LeaseRecord extends LockRecord {
  readonly epoch: number;
  readonly since: string;
  readonly name: string;
  readonly claim: Claim;
}

/** A lease whose holder lives, or may live: whether it does cannot be told of one on another host or in another container. */
export interface FoundLease {
  readonly path: string;
  readonly record: LeaseRecord;
  readonly life: 'alive' | 'unknown';
}

const GUARD = 'guard.lock';
const EPOCH = 'epoch';
const SUFFIX = '.lease';
/** Whoever holds the guard reads and writes a few small files. */
const GUARD_PATIENCE_MS = 20_000;
const GUARD_POLL_MS = 10;

/**
 * The leases of one host: a file each in `<stateDirectory>/locks`, read and written under one guard that is held for
 * milliseconds. They need no renewal: whether a holder lives is seen by its process, and what a dead one held is taken over at once.
 */
export function createLeaseFiles(stateDirectory: string, clock: Clock): LeaseStore {
  const directory = join(stateDirectory, 'locks');
  return {
    place: `the lock files in ${directory}`,
    tryAcquire: (claim, holder, signal) =>
      translating(`take the lock for ${claim.verb} of ${claim.cluster}`, async () => {
        await makeDirectory(directory);
        const mine = { ...(await ownIdentity()), host: holder.host };
        return underGuard(directory, mine, clock, signal, async () => {
          const found = await readLeases(directory, mine);
          const token = crypto.randomUUID();
          const decision = decideLease({ token, claim, holder, termMs: 1 }, factsOf(found, await readEpoch(directory), clock));
          if (decision.kind !== 'acquire') return { kind: 'held' as const, by: shown(lookUp(found, decision.by.token)) };
          const { epoch } = decision;
          await writeEpoch(directory, epoch);
          const record = { ...mine, token, epoch, since: formatInstantIso(holder.since), name: holder.name, claim };
          return { kind: 'acquired' as const, lease: await writeLease(directory, record) };
        });
      }),
    list: () =>
      translating('read the locks', async () => {
        const here = { ...(await ownIdentity()), host: hostname() };
        return (await readLeases(directory, here)).map(shown);
      }),
  };
}

async function underGuard<T>(
  directory: string,
  mine: Omit<LockRecord, 'token'>,
  clock: Clock,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const path = join(directory, GUARD);
  const record = { ...mine, token: crypto.randomUUID() };
  const startedMs = clock.monotonicMs();
  for (;;) {
    const holder = await takeFileLock(directory, path, record);
    if (holder === undefined) break;
    if (clock.monotonicMs() - startedMs > GUARD_PATIENCE_MS) throw guarded(path, holder);
    await clock.sleep(GUARD_POLL_MS, signal);
  }
  try {
    return await work();
  } finally {
    await releaseFileLock(path, record.token);
  }
}

function guarded(path: string, { pid, host }: LockRecord): SpokeError {
  return new SpokeError('LOCKED', `The locks are being changed by process ${pid} on ${host}, and it does not come to an end.`, {
    details: { pid, host, lockFile: path },
    hint: `Look at that process. Once you know that it is gone: rm ${path}`,
  });
}

/** Those whose holders live, or may live. The files of those that are gone are removed: only under the guard are new ones made. */
export async function readLeases(directory: string, here: Omit<LockRecord, 'token'>): Promise<readonly FoundLease[]> {
  const found: FoundLease[] = [];
  for (const name of await namesIn(directory)) {
    const path = join(directory, name);
    const record = await readRecord(path);
    if (record === undefined) continue;
    if (record !== 'unreadable' && !isLeaseRecord(record)) throw unknownRecord(path);
    const life = record === 'unreadable' ? 'gone' : await isStillThere(record, here);
    if (record === 'unreadable' || life === 'gone') await removeIfThere(path);
    else found.push({ path, record, life });
  }
  return found;
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).filter((name) => name.endsWith(SUFFIX)).sort();
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}

function isLeaseRecord(value: unknown): value is LeaseRecord {
  if (!isLockRecord(value)) return false;
  const claim: unknown = Reflect.get(value, 'claim');
  if (typeof claim !== 'object' || claim === null) return false;
  const hasTexts = ['name', 'since'].every((name) => typeof Reflect.get(value, name) === 'string');
  const { verb, cluster, host, repositories } = claim as Readonly<Record<string, unknown>>;
  const isClaim = CLAIM_VERBS.some((one) => one === verb) && typeof cluster === 'string' && typeof host === 'string';
  return hasTexts && isClaim && Array.isArray(repositories) && Number.isInteger(Reflect.get(value, 'epoch'));
}

/** A holder that lives needs no term: seen just now, it is never given up. */
function factsOf(found: readonly FoundLease[], lastEpoch: number, clock: Clock) {
  const nowMs = clock.monotonicMs();
  const leases = found.map(
    ({ record }): StoredLease => ({
      token: record.token,
      epoch: record.epoch,
      renewals: 0,
      termMs: 1,
      claim: record.claim,
      holder: holderOf(record),
    }),
  );
  const sightings = new Map(leases.map(({ token }) => [token, { renewals: 0, sinceMs: nowMs }]));
  return { document: { lastEpoch, leases }, sightings, nowMs, gone: new Set<string>() };
}

function holderOf({ name, pid, host, since }: LeaseRecord): LeaseHolder {
  return { name, pid, host, since: instantOfText(since) ?? instantOfMicros(0n) };
}

function lookUp(found: readonly FoundLease[], token: string): FoundLease {
  const lease = found.find(({ record }) => record.token === token);
  if (lease === undefined) throw new SpokeError('INTERNAL', 'a lock is held by nobody');
  return lease;
}

function shown({ path, record, life }: FoundLease): HeldLease {
  return { claim: record.claim, holder: holderOf(record), epoch: record.epoch, file: path, isOutOfSight: life === 'unknown' };
}

async function writeLease(directory: string, record: LeaseRecord): Promise<Lease> {
  const path = join(directory, `${record.claim.verb}-${record.token}${SUFFIX}`);
  await rename(await writeTemporary(directory, JSON.stringify(record)), path);
  await syncDirectory(directory);
  return {
    epoch: record.epoch,
    goodUntilMs: () => Infinity,
    renew: async () => undefined,
    release: () => translating(`release the lock ${path}`, () => removeIfThere(path)),
  };
}

/** The greatest epoch given so far. A file that a crash of the machine left unreadable is the end of nothing: leases died with it. */
async function readEpoch(directory: string): Promise<number> {
  const text = await readFile(join(directory, EPOCH), 'utf8').catch((thrown: unknown) => {
    if (errnoOf(thrown) === 'ENOENT') return '';
    throw thrown;
  });
  const epoch = Number(text);
  return Number.isSafeInteger(epoch) ? epoch : 0;
}

async function writeEpoch(directory: string, epoch: number): Promise<void> {
  await rename(await writeTemporary(directory, String(epoch)), join(directory, EPOCH));
}
