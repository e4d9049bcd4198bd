import type { Claim } from '../domain/concurrency/matrix.ts';
import type { LeaseHolder } from '../domain/lease/lease-document.ts';
import { formatDuration } from '../domain/time/duration.ts';
import { formatInstantIso, formatInstantUtc } from '../domain/time/instant.ts';
import { asSpokeError, SpokeError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { HeldLease, Lease, LeaseStore } from '../ports/lease.ts';

/** What taking leases needs beside what is claimed. */
export interface LeaseContext {
  /** In this order: first what is near. */
  readonly stores: readonly LeaseStore[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** For people: whom we wait for, and what becomes of a lease that we hold. */
  say(level: 'info' | 'warning', message: string): void;
  /** How long to queue behind others; where it is not given, whoever holds it is an error at once. Infinity: as long as it takes. */
  readonly waitMs?: number;
}

/** A claim that is ours in every store, and kept so until it is released. */
export interface HeldLeases {
  /** Fencing, of the store that is asked last. */
  readonly epoch: number;
  /** Aborted with LEASE_LOST once another has taken it. */
  readonly lost: AbortSignal;
  /** Throws LEASE_LOST where another may soon have it, since it could not be renewed: nothing more may be begun then. */
  ensureGood(): void;
  release(): Promise<void>;
}

const POLL_MS = 2_000;

/**
 * Takes a claim in every store and keeps it. Throws LOCKED with the holder where another has it (after `waitMs`). This is also how
 * a daemon stands by: it claims its own verb and waits without end.
 */
export async function acquireLeases(claim: Claim, holder: LeaseHolder, context: LeaseContext): Promise<HeldLeases> {
  const leases: { readonly store: LeaseStore; readonly lease: Lease }[] = [];
  const keepers = new AbortController();
  const lost = new AbortController();
  const keeping: Promise<void>[] = [];
  const release = async () => {
    keepers.abort();
    await Promise.all(keeping);
    const released = await Promise.allSettled(leases.toReversed().map(({ lease }) => lease.release()));
    for (const one of released) if (one.status === 'rejected') throw asSpokeError(one.reason);
  };
  try {
    for (const store of context.stores) {
      const lease = await acquireFrom(store, claim, holder, context);
      leases.push({ store, lease });
      keeping.push(keep(lease, store.place, { ...context, signal: keepers.signal }, lost));
    }
  } catch (thrown) {
    await release().catch(() => undefined);
    throw thrown;
  }
  return {
    epoch: leases.at(-1)?.lease.epoch ?? 0,
    lost: lost.signal,
    ensureGood: () => ensureGood(leases, context.clock, lost.signal),
    release,
  };
}

/** One attempt after the other. One that seems dead is watched for its term in any case; a store that does not answer is waited for, too. */
async function acquireFrom(store: LeaseStore, claim: Claim, holder: LeaseHolder, context: LeaseContext): Promise<Lease> {
  const { clock, signal } = context;
  const deadlineMs = clock.monotonicMs() + (context.waitMs ?? 0);
  let told = '';
  const tell = (level: 'info' | 'warning', message: string) => {
    if (message !== told) context.say(level, message);
    told = message;
  };
  for (;;) {
    const attempt = await store.tryAcquire(claim, holder, signal).catch((thrown: unknown) => {
      const error = asSpokeError(thrown);
      if (error.code !== 'REPOSITORY_UNAVAILABLE' || clock.monotonicMs() >= deadlineMs) throw error;
      tell('warning', `waiting: ${error.message}`);
      return undefined;
    });
    if (attempt?.kind === 'acquired') return attempt.lease;
    if (attempt === undefined) {
      await clock.sleep(POLL_MS, signal);
      continue;
    }
    const { by, retryAfterMs } = attempt;
    if (retryAfterMs !== undefined) tell('warning', `${inUseBy(claim, by)}, whose lease has expired: taking it over unless it is renewed`);
    else if (clock.monotonicMs() < deadlineMs) tell('info', `waiting: ${inUseBy(claim, by)}`);
    else throw locked(claim, by);
    await clock.sleep(Math.min(POLL_MS, Math.max(retryAfterMs ?? POLL_MS, 1)), signal);
  }
}

/** Renews a lease until it is released or lost. Never throws. */
async function keep(lease: Lease, place: string, context: LeaseContext, lost: AbortController): Promise<void> {
  const { renewEveryMs } = lease;
  if (renewEveryMs === undefined) return;
  const { clock, signal } = context;
  let failing = false;
  for (;;) {
    try {
      await clock.sleep(failing ? renewEveryMs / 4 : renewEveryMs, signal);
      await lease.renew(signal);
      if (failing) context.say('info', `the lease in ${place} is renewed again`);
      failing = false;
    } catch (thrown) {
      if (signal.aborted) return;
      const error = asSpokeError(thrown);
      if (error.code === 'LEASE_LOST') {
        context.say('warning', error.message);
        lost.abort(error);
        return;
      }
      if (!failing) context.say('warning', cannotRenew(lease, clock, error));
      failing = true;
    }
  }
}

function cannotRenew(lease: Lease, clock: Clock, error: SpokeError): string {
  const seconds = Math.max(lastMomentMs(lease) - clock.monotonicMs(), 0) / 1000;
  return `the lease cannot be renewed, and in ${formatDuration(seconds)} nothing new is begun any more: ${error.message}`;
}

function ensureGood(leases: readonly { readonly store: LeaseStore; readonly lease: Lease }[], clock: Clock, lost: AbortSignal): void {
  if (lost.aborted) throw asSpokeError(lost.reason);
  const ended = leases.find(({ lease }) => clock.monotonicMs() >= lastMomentMs(lease));
  if (ended !== undefined)
    throw new SpokeError('LEASE_LOST', `Our lease in ${ended.store.place} could not be renewed in time: another host may take it over.`);
}

/** Before another can have it, with time for what was just begun to be seen. */
function lastMomentMs(lease: Lease): number {
  return lease.goodUntilMs() - (lease.renewEveryMs ?? 0) / 2;
}

function locked(claim: Claim, by: HeldLease): SpokeError {
  const { holder, file } = by;
  const { name, pid, host, since } = holder;
  const isRun = by.claim.verb !== 'daemon';
  return new SpokeError('LOCKED', `${inUseBy(claim, by)}.`, {
    details: {
      ...(isRun && { runId: name }),
      verb: by.claim.verb,
      pid,
      host,
      since: formatInstantIso(since),
      ...(file !== undefined && { lockFile: file }),
    },
    hint: hintFor(by, isRun),
  });
}

function hintFor({ isOutOfSight, file, holder }: HeldLease, isRun: boolean): string {
  if (isOutOfSight === true && file !== undefined)
    return `Whether that run still lives cannot be seen from here. Once you know that it does not: rm ${file}`;
  if (!isRun) return 'Leave the work to that daemon, or stop it first.';
  return `Queue behind it with --wait, or look at it on ${holder.host}: spoke-backup runs show ${holder.name}`;
}

function inUseBy(claim: Claim, by: HeldLease): string {
  const { name, pid, host, since } = by.holder;
  const who = by.claim.verb === 'daemon' ? 'the daemon' : `the run ${name}`;
  const what = claim.dataDirectory !== undefined && claim.dataDirectory === by.claim.dataDirectory ? claim.dataDirectory : claim.cluster;
  return `${what} is in use by ${who} (${by.claim.verb}, pid ${pid} on ${host}, since ${formatInstantUtc(since, { fraction: 'none' })})`;
}
