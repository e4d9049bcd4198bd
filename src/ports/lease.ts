import type { Claim } from '../domain/concurrency/matrix.ts';
import type { LeaseHolder } from '../domain/lease/lease-document.ts';

/** A lease of somebody's, as far as others may know. */
export interface HeldLease {
  readonly claim: Claim;
  readonly holder: LeaseHolder;
  readonly epoch: number;
  /** Where the store has a file for it that an operator can remove. */
  readonly file?: string;
  /** True where the store cannot tell whether its holder lives, and nothing but an operator can end it. */
  readonly isOutOfSight?: boolean;
}

export type LeaseAttempt =
  | { readonly kind: 'acquired'; readonly lease: Lease }
  /** `retryAfterMs`: its holder seems dead; after so long it can be taken, unless it is renewed before. */
  | { readonly kind: 'held'; readonly by: HeldLease; readonly retryAfterMs?: number };

/** A claim that is ours. */
export interface Lease {
  /** Fencing: greater than that of every lease that this store gave before. */
  readonly epoch: number;
  /** Undefined where it is good for as long as we live. */
  readonly renewEveryMs?: number;
  /** By the monotonic clock: until when nobody else can take it. Grows with each renewal. */
  goodUntilMs(): number;
  /** Throws LEASE_LOST where another has taken it, REPOSITORY_UNAVAILABLE or REPOSITORY_DENIED where that cannot be told. */
  renew(signal: AbortSignal): Promise<void>;
  /** Idempotent; never ends the lease of another. */
  release(): Promise<void>;
}

/** Where leases are kept. Of claims that conflict (domain/concurrency/matrix) one is held at a time. */
export interface LeaseStore {
  /** For people. */
  readonly place: string;
  /** One attempt; does not wait for anybody. The lease of a holder that is dead is taken over. */
  tryAcquire(claim: Claim, holder: LeaseHolder, signal: AbortSignal): Promise<LeaseAttempt>;
  /** Who holds what. */
  list(signal: AbortSignal): Promise<readonly HeldLease[]>;
}
