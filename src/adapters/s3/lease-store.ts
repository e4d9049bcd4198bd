import {
  decideLease,
  type LeaseDocument,
  type LeaseHolder,
  NO_LEASES,
  releaseLease,
  renewLease,
  sight,
  type Sightings,
  type StoredLease,
} from '../../domain/lease/lease-document.ts';
import type { Claim } from '../../domain/concurrency/matrix.ts';
import type { Instant } from '../../domain/time/instant.ts';
import { SpokeError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { HeldLease, Lease, LeaseAttempt, LeaseStore } from '../../ports/lease.ts';
import { documentOfText, documentToText, type ProcessFacts, type StoredDocument } from './lease-json.ts';
import type { Register } from './register.ts';

export interface S3LeaseOptions {
  /** For people. */
  readonly place: string;
  readonly clock: Clock;
  /** For how long a lease is good without being renewed. */
  readonly termMs: number;
  /** What this process is recognised by. */
  readonly ownProcess: ProcessFacts;
  /** Whether a holder is a process of this host that is certainly not there any more. */
  isGone(process: ProcessFacts): Promise<boolean>;
}

/** A term has room for some renewals that fail. */
const RENEWALS_PER_TERM = 4;
/** Somebody else wrote in between so often only where something is wrong. */
const MOST_COLLISIONS = 20;
const COLLISION_PAUSE_MS = 100;
const RELEASE_TIMEOUT_MS = 5_000;

interface Seen {
  readonly document: StoredDocument;
  readonly version: string | undefined;
  readonly serverNow?: Instant;
}

/** The leases of one cluster in a register that several hosts share. */
export class S3LeaseStore implements LeaseStore {
  readonly place: string;
  readonly #open: (signal: AbortSignal) => Promise<Register>;
  readonly #options: S3LeaseOptions;
  #register: Promise<Register> | undefined;
  #sightings: Sightings = new Map();

  /** `open` is called before the first use, and again after it failed. */
  constructor(open: (signal: AbortSignal) => Promise<Register>, options: S3LeaseOptions) {
    this.place = options.place;
    this.#open = open;
    this.#options = options;
  }

  async tryAcquire(claim: Claim, holder: LeaseHolder, signal: AbortSignal): Promise<LeaseAttempt> {
    const { clock, termMs, ownProcess } = this.#options;
    const token = crypto.randomUUID();
    for (let collisions = 0; ; collisions += 1) {
      const seen = await this.#read(signal);
      const sentMs = clock.monotonicMs();
      // Written by an attempt whose answer was lost.
      const mine = seen.document.leases.find((lease) => lease.token === token);
      if (mine !== undefined) return { kind: 'acquired', lease: await this.#adopt(mine, signal) };
      const facts = { ...seen, sightings: this.#sightings, nowMs: sentMs, gone: await this.#gone(seen.document) };
      const decision = decideLease({ token, claim, holder, termMs }, facts);
      if (decision.kind !== 'acquire') {
        const retry = decision.kind === 'wait' ? { retryAfterMs: Math.max(decision.untilMs - sentMs, 0) } : {};
        return { kind: 'held', by: shown(decision.by), ...retry };
      }
      const document = withProcess(decision.document, token, ownProcess);
      if (await this.#write(document, seen.version, signal)) {
        return { kind: 'acquired', lease: this.#lease(token, decision.epoch, sentMs + termMs) };
      }
      await this.#pause(collisions, signal);
    }
  }

  async list(signal: AbortSignal): Promise<readonly HeldLease[]> {
    const { document } = await this.#read(signal);
    const gone = await this.#gone(document);
    return document.leases.filter(({ token }) => !gone.has(token)).map(shown);
  }

  #lease(token: string, epoch: number, goodUntilMs: number): Lease {
    let untilMs = goodUntilMs;
    return {
      epoch,
      renewEveryMs: this.#options.termMs / RENEWALS_PER_TERM,
      goodUntilMs: () => untilMs,
      renew: async (signal) => {
        untilMs = await this.#renew(token, signal);
      },
      release: () => this.#release(token),
    };
  }

  async #adopt(lease: StoredLease, signal: AbortSignal): Promise<Lease> {
    return this.#lease(lease.token, lease.epoch, await this.#renew(lease.token, signal));
  }

  /** Until when it is good then: a term from before the write was sent, since nobody can have seen it before that. */
  async #renew(token: string, signal: AbortSignal): Promise<number> {
    for (let collisions = 0; ; collisions += 1) {
      const seen = await this.#read(signal);
      const document = renewLease(seen.document, token, seen.serverNow);
      if (document === undefined) throw leaseLost(this.place, seen.document);
      const sentMs = this.#options.clock.monotonicMs();
      if (await this.#write(document, seen.version, signal)) return sentMs + this.#options.termMs;
      await this.#pause(collisions, signal);
    }
  }

  async #release(token: string): Promise<void> {
    const signal = AbortSignal.timeout(RELEASE_TIMEOUT_MS);
    for (let collisions = 0; ; collisions += 1) {
      const seen = await this.#read(signal);
      const document = releaseLease(seen.document, token);
      if (document === undefined || (await this.#write(document, seen.version, signal))) return;
      await this.#pause(collisions, signal);
    }
  }

  async #read(signal: AbortSignal): Promise<Seen> {
    const register = await this.#opened(signal);
    const { text, version, serverNow } = await register.read(signal);
    const document = text === undefined ? { ...NO_LEASES, leases: [] } : documentOfText(text, this.place);
    this.#sightings = sight(this.#sightings, document, this.#options.clock.monotonicMs());
    return { document, version, ...(serverNow !== undefined && { serverNow }) };
  }

  async #write(document: LeaseDocument, version: string | undefined, signal: AbortSignal): Promise<boolean> {
    return (await this.#opened(signal)).write(documentToText(document), version, signal);
  }

  async #opened(signal: AbortSignal): Promise<Register> {
    this.#register ??= this.#open(signal);
    try {
      return await this.#register;
    } catch (thrown) {
      this.#register = undefined;
      throw thrown;
    }
  }

  async #gone({ leases }: StoredDocument): Promise<ReadonlySet<string>> {
    const gone = await Promise.all(leases.map(({ process }) => this.#options.isGone(process)));
    return new Set(leases.filter((_lease, index) => gone[index]).map(({ token }) => token));
  }

  async #pause(collisions: number, signal: AbortSignal): Promise<void> {
    if (collisions >= MOST_COLLISIONS)
      throw new SpokeError(
        'REPOSITORY_UNAVAILABLE',
        `The leases in ${this.place} cannot be written: they change each time they were read.`,
      );
    await this.#options.clock.sleep(COLLISION_PAUSE_MS * Math.random(), signal);
  }
}

function withProcess(document: LeaseDocument, token: string, process: ProcessFacts): LeaseDocument {
  return { ...document, leases: document.leases.map((lease) => (lease.token === token ? { ...lease, process } : lease)) };
}

function shown({ claim, holder, epoch }: StoredLease): HeldLease {
  return { claim, holder, epoch };
}

function leaseLost(place: string, { leases }: LeaseDocument): SpokeError {
  const now = leases.map(({ holder }) => `${holder.name} on ${holder.host} (pid ${holder.pid})`).join(', ');
  return new SpokeError(
    'LEASE_LOST',
    `Our lease in ${place} was taken over, since it was not renewed in time${now === '' ? '' : `; there are now: ${now}`}.`,
  );
}
