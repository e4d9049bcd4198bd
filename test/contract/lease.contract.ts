import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Claim } from '../../src/domain/concurrency/matrix.ts';
import type { LeaseHolder } from '../../src/domain/lease/lease-document.ts';
import { instantOfMicros } from '../../src/domain/time/instant.ts';
import type { Lease, LeaseAttempt, LeaseStore } from '../../src/ports/lease.ts';

const START = instantOfMicros(1_795_382_188_123_456n);
const signal = new AbortController().signal;

export const FIRST = '20261122T211628Z-restore-aaaa';
export const SECOND = '20261122T211629Z-backup-bbbb';

export function claimOf(verb: Claim['verb'] = 'backup', changes: Partial<Claim> = {}): Claim {
  return { verb, cluster: 'main', repositories: ['s3'], host: 'db1', ...changes };
}

export function holderOf(name: string, host = 'db1'): LeaseHolder {
  return { name, pid: process.pid, host, since: START };
}

/** The lease of an attempt that has to succeed. */
export function leaseOf(attempt: LeaseAttempt): Lease {
  if (attempt.kind === 'acquired') return attempt.lease;
  throw new Error(`it is held by ${attempt.by.holder.name}`);
}

export interface LeaseSubject {
  /** What one actor sees of the place where leases are kept. */
  open(): LeaseStore;
  dispose(): Promise<void>;
}

/** What every store of leases does. */
export function leaseContract(name: string, make: () => Promise<LeaseSubject>): void {
  describe(`${name}, as a store of leases`, () => {
    let made: LeaseSubject;
    let store: LeaseStore;
    const acquire = (claim = claimOf(), run = FIRST, of = store) => of.tryAcquire(claim, holderOf(run), signal);
    beforeEach(async () => {
      made = await make();
      store = made.open();
    });
    afterEach(() => made.dispose());

    it('gives a claim to one at a time, and says who has it', async () => {
      const lease = leaseOf(await acquire());
      const attempt = await acquire(claimOf(), SECOND, made.open());
      expect(attempt).toMatchObject({ kind: 'held', by: { claim: claimOf(), holder: holderOf(FIRST), epoch: lease.epoch } });
      await lease.release();
    });

    it('gives it again once it was released, with a greater epoch', async () => {
      const first = leaseOf(await acquire());
      await first.release();
      const second = leaseOf(await acquire(claimOf(), SECOND, made.open()));
      expect(second.epoch).toBeGreaterThan(first.epoch);
      await second.release();
    });

    it('gives claims that do not conflict side by side, and lists them', async () => {
      const claims = [claimOf('backup'), claimOf('drill'), claimOf('daemon'), claimOf('backup', { repositories: ['local'] })];
      const leases: Lease[] = [];
      for (const [index, claim] of claims.entries()) leases.push(leaseOf(await acquire(claim, `run-${index}`)));
      expect((await store.list(signal)).map((held) => held.holder.name).toSorted()).toEqual(['run-0', 'run-1', 'run-2', 'run-3']);
      expect(await acquire(claimOf('expire'), SECOND)).toMatchObject({ kind: 'held' });
      for (const lease of leases) await lease.release();
      expect(await store.list(signal)).toEqual([]);
    });

    it('gives one run to one process at a time', async () => {
      const lease = leaseOf(await acquire(claimOf('drill')));
      expect(await acquire(claimOf('drill'), FIRST, made.open())).toMatchObject({ kind: 'held' });
      await lease.release();
    });

    it('takes a second release for nothing, also when somebody else has it by then', async () => {
      const first = leaseOf(await acquire());
      await first.release();
      const second = leaseOf(await acquire(claimOf(), SECOND));
      await first.release();
      expect(await acquire()).toMatchObject({ kind: 'held', by: { holder: { name: SECOND } } });
      await second.release();
    });

    it('keeps it for a holder that renews it', async () => {
      const lease = leaseOf(await acquire());
      const before = lease.goodUntilMs();
      await lease.renew(signal);
      expect(lease.goodUntilMs()).toBeGreaterThanOrEqual(before);
      expect(await acquire(claimOf(), SECOND, made.open())).toMatchObject({ kind: 'held' });
      await lease.release();
    });

    it('gives it to exactly one of many who want it at once', async () => {
      const attempts = await Promise.all(Array.from({ length: 8 }, (_, index) => acquire(claimOf(), `run-${index}`, made.open())));
      const winners = attempts.filter((attempt) => attempt.kind === 'acquired');
      expect(winners).toHaveLength(1);
      for (const { lease } of winners) await lease.release();
    });
  });
}
