import { type Claim, conflicts } from '../concurrency/matrix.ts';
import { addMicros, type Instant } from '../time/instant.ts';

/** Who holds a lease. */
export interface LeaseHolder {
  /** A run id, or `daemon`. */
  readonly name: string;
  readonly pid: number;
  readonly host: string;
  readonly since: Instant;
}

/** One lease as it is stored. */
export interface StoredLease {
  /** Unique to one taking of the lease. */
  readonly token: string;
  /** Fencing: greater than that of every lease given before. */
  readonly epoch: number;
  /** How often it was renewed: what tells a holder that lives. */
  readonly renewals: number;
  /** For how long it is good after it was last renewed. */
  readonly termMs: number;
  /** By the store's clock; absent where the store does not tell the time. */
  readonly expiresAt?: Instant;
  readonly claim: Claim;
  readonly holder: LeaseHolder;
}

/** All leases of one cluster, stored as one object, so that one conditional write decides among all of them. */
export interface LeaseDocument {
  readonly lastEpoch: number;
  readonly leases: readonly StoredLease[];
}

export const NO_LEASES: LeaseDocument = { lastEpoch: 0, leases: [] };

/** Since when, by our own monotonic clock, a lease is known with this number of renewals. */
export interface Sighting {
  readonly renewals: number;
  readonly sinceMs: number;
}

/** By token. */
export type Sightings = ReadonlyMap<string, Sighting>;

/** What is known once the document was read at `nowMs`: a lease that was renewed starts anew, one that is gone is forgotten. */
export function sight(before: Sightings, document: LeaseDocument, nowMs: number): Sightings {
  return new Map(
    document.leases.map(({ token, renewals }) => {
      const known = before.get(token);
      return [token, known?.renewals === renewals ? known : { renewals, sinceMs: nowMs }];
    }),
  );
}

export interface LeaseFacts {
  readonly document: LeaseDocument;
  readonly sightings: Sightings;
  /** By our monotonic clock. */
  readonly nowMs: number;
  /** By the store's clock. */
  readonly serverNow?: Instant;
  /** Tokens of holders that are known to be dead: processes of this host that are not there any more. */
  readonly gone: ReadonlySet<string>;
}

export interface WantedLease {
  readonly token: string;
  readonly claim: Claim;
  readonly holder: LeaseHolder;
  readonly termMs: number;
}

export type LeaseDecision =
  | { readonly kind: 'acquire'; readonly document: LeaseDocument; readonly epoch: number }
  /** Somebody holds it. */
  | { readonly kind: 'held'; readonly by: StoredLease }
  /** Its holder seems dead. It can be taken at `untilMs` of our monotonic clock unless it is renewed before. */
  | { readonly kind: 'wait'; readonly by: StoredLease; readonly untilMs: number };

/**
 * Whether a lease can be had. That of another is taken over when it was seen unchanged for its whole term by our own
 * monotonic clock, so that clocks which differ or jump do not matter: its holder stops before that, by its monotonic clock.
 * The store's clock tells only whether it is worth while to watch; and one that was set back delays for a second term at most.
 */
export function decideLease(wanted: WantedLease, facts: LeaseFacts): LeaseDecision {
  const inTheWay = facts.document.leases.filter((lease) => isInTheWay(lease, wanted));
  const living = inTheWay.filter((lease) => !facts.gone.has(lease.token) && facts.nowMs < takeOverAtMs(lease, facts));
  const [first] = [...living].sort((one, other) => Number(hasExpired(one, facts)) - Number(hasExpired(other, facts)));
  if (first !== undefined) {
    if (!hasExpired(first, facts)) return { kind: 'held', by: first };
    return { kind: 'wait', by: first, untilMs: Math.max(...living.map((lease) => takeOverAtMs(lease, facts))) };
  }
  const stay = facts.document.leases.filter((lease) => !inTheWay.includes(lease) && !facts.gone.has(lease.token));
  const epoch = facts.document.lastEpoch + 1;
  const mine: StoredLease = { ...wanted, epoch, renewals: 0, ...expiry(wanted.termMs, facts.serverNow) };
  return { kind: 'acquire', document: { lastEpoch: epoch, leases: [...stay, mine] }, epoch };
}

/** The document with our lease good for another term; undefined where another took it. */
export function renewLease(document: LeaseDocument, token: string, serverNow: Instant | undefined): LeaseDocument | undefined {
  if (!document.leases.some((lease) => lease.token === token)) return undefined;
  const renewed = ({ expiresAt: _before, ...lease }: StoredLease): StoredLease => ({
    ...lease,
    renewals: lease.renewals + 1,
    ...expiry(lease.termMs, serverNow),
  });
  return { ...document, leases: document.leases.map((lease) => (lease.token === token ? renewed(lease) : lease)) };
}

/** The document without our lease; undefined where it is not in it anyway. */
export function releaseLease(document: LeaseDocument, token: string): LeaseDocument | undefined {
  const leases = document.leases.filter((lease) => lease.token !== token);
  return leases.length === document.leases.length ? undefined : { ...document, leases };
}

/** A run is resumed by one process at a time, whatever it claims. */
function isInTheWay(lease: StoredLease, wanted: WantedLease): boolean {
  if (conflicts(lease.claim, wanted.claim)) return true;
  return lease.claim.verb !== 'daemon' && lease.holder.name === wanted.holder.name;
}

function takeOverAtMs(lease: StoredLease, facts: LeaseFacts): number {
  const sinceMs = facts.sightings.get(lease.token)?.sinceMs ?? facts.nowMs;
  return sinceMs + (hasExpired(lease, facts) ? 1 : 2) * lease.termMs;
}

function hasExpired({ expiresAt }: StoredLease, { serverNow }: LeaseFacts): boolean {
  return expiresAt === undefined || serverNow === undefined || serverNow >= expiresAt;
}

function expiry(termMs: number, serverNow: Instant | undefined): { readonly expiresAt?: Instant } {
  return serverNow === undefined ? {} : { expiresAt: addMicros(serverNow, BigInt(termMs) * 1000n) };
}
