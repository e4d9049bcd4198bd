import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BackupLabel, BaseBackup, RepositoryName } from '../../../../src/domain/catalog/base-backup.ts';
import { keepsWalFile } from '../../../../src/domain/native/needed-wal.ts';
import { ownExpiryOf } from '../../../../src/domain/native/own-expiry.ts';
import { lsnOf } from '../../../../src/domain/postgres/lsn.ts';
import { parseSystemIdentifier } from '../../../../src/domain/postgres/system-identifier.ts';
import { timelineIdOf } from '../../../../src/domain/postgres/timeline.ts';
import { walSegmentName } from '../../../../src/domain/postgres/wal-segment.ts';
import { planRetention } from '../../../../src/domain/retention/plan-retention.ts';
import { addMicros, type Instant, instantOfSeconds } from '../../../../src/domain/time/instant.ts';
import { nextLabel, rootOfLabel } from '../../../../src/domain/native/label.ts';

const NOW = instantOfSeconds(1_800_000_000);
const MICROS_PER_HOUR = 3_600_000_000n;
const SEGMENT = 16_777_216;
const REPOSITORY = 'one' as RepositoryName;

const hoursAgo = (hours: number): Instant => addMicros(NOW, -BigInt(hours) * MICROS_PER_HOUR);

/** Chains of the ages given, oldest first: each a full backup, with incrementals between it and the next. */
function backupsOf(ages: readonly number[], isFull: (index: number) => boolean): readonly BaseBackup[] {
  const backups: BaseBackup[] = [];
  let root: BackupLabel | undefined;
  for (const [index, hours] of ages.toSorted((a, b) => b - a).entries()) {
    const type = root === undefined || isFull(index) ? 'full' : 'incr';
    const startTime = hoursAgo(hours);
    const taken = backups.map(({ label }) => label);
    const label = nextLabel({ type, startTime, taken, ...(root === undefined ? {} : { root }) });
    root = type === 'full' ? label : root;
    const references = type === 'full' || root === undefined ? [] : [root];
    backups.push({
      ...{ label, type, repository: REPOSITORY, references, systemIdentifier: parseSystemIdentifier('1'), postgresMajor: 17 },
      ...{ timeline: timelineIdOf(1), startLsn: lsnOf(BigInt(index + 1) * 10n * BigInt(SEGMENT)) },
      ...{ stopLsn: lsnOf(BigInt(index + 1) * 10n * BigInt(SEGMENT) + 1n), startTime, stopTime: startTime },
      ...{ databaseBytes: 1n, repositoryBytes: 1n, hasPageErrors: false, annotations: {} },
    });
  }
  return backups;
}

describe('what would go by the days alone', () => {
  it('is every chain before the newest full backup that is old enough', () => {
    const [first, second, third, fourth] = backupsOf([960, 912, 480, 20], (index) => index !== 1);
    const records = [first, second, third, fourth].filter((one) => one !== undefined);
    expect(ownExpiryOf(records, NOW, 7)).toEqual({ backups: [first?.label, second?.label], walFloors: [third?.label] });
    expect(ownExpiryOf(records, NOW, 21)).toEqual({ backups: [], walFloors: [first?.label] });
    expect(ownExpiryOf(records, NOW, 365)).toEqual({ backups: [], walFloors: [] });
  });

  it('is what the policy lets go where nothing is pinned, whatever the ages are', () => {
    const ages = fc.array(fc.integer({ min: 1, max: 2000 }), { maxLength: 12 });
    fc.assert(
      fc.property(ages, fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }), fc.integer({ min: 1, max: 60 }), (hours, fulls, days) => {
        const backups = backupsOf(hours, (index) => fulls[index] === true);
        const snapshot = { repository: REPOSITORY, kind: 'local', readAt: NOW, initialised: true, backups } as const;
        const own = ownExpiryOf(backups, NOW, days);
        const facts = { snapshot, own, now: NOW, pins: [], verdicts: [], clocks: [], confirmed: true };
        const plan = planRetention({ days, requireVerified: false, maxSharePercent: 100 }, facts);
        const going = plan.backups.filter(({ decision }) => decision === 'expire').map(({ backup }) => backup.label);
        if (plan.holds.length === 0) expect(going).toEqual(own.backups);
        expect(plan.differences).toEqual([]);
        for (const label of own.backups) expect(own.walFloors[0] !== undefined && rootOfLabel(label) < own.walFloors[0]).toBe(true);
      }),
    );
  });
});

describe('the WAL that stays', () => {
  const needing = (timeline: number, first: number, last: number) => ({
    ...{ timeline: timelineIdOf(timeline), walSegmentBytes: SEGMENT },
    startLsn: lsnOf(BigInt(first) * BigInt(SEGMENT) + 40n),
    stopLsn: lsnOf(BigInt(last) * BigInt(SEGMENT) + 256n),
  });
  const file = (timeline: number, segment: number) => walSegmentName(timelineIdOf(timeline), BigInt(segment), SEGMENT);

  it('is all from the floor on, whatever timeline follows, and of older backups what makes them consistent', () => {
    const needs = { older: [needing(1, 10, 12)], fromFloor: [needing(2, 40, 41), needing(2, 60, 61)] };
    const kept = (timeline: number, segment: number) => keepsWalFile(file(timeline, segment), needs);
    expect([9, 10, 11, 12, 13, 39, 40, 1000].map((segment) => kept(1, segment))).toEqual([
      ...[false, true, true, true, false, false, false, false],
    ]);
    expect([10, 39, 40, 41, 1000].map((segment) => kept(2, segment))).toEqual([false, false, true, true, true]);
    expect(kept(3, 1)).toBe(true);
  });

  it('is that of a newer backup of an older timeline too', () => {
    const needs = { older: [], fromFloor: [needing(2, 40, 41), needing(1, 50, 51)] };
    expect(keepsWalFile(file(1, 50), needs)).toBe(true);
    expect(keepsWalFile(file(1, 49), needs)).toBe(false);
  });

  it('is every history, and of partial and backup files what belongs to a segment that stays', () => {
    const needs = { older: [], fromFloor: [needing(2, 40, 41)] };
    expect(keepsWalFile('00000001.history', needs)).toBe(true);
    expect(keepsWalFile(`${file(2, 40)}.00000028.backup`, needs)).toBe(true);
    expect(keepsWalFile(`${file(2, 39)}.00000028.backup`, needs)).toBe(false);
    expect(keepsWalFile(`${file(1, 40)}.partial`, needs)).toBe(false);
  });

  it('ends where a backup ended, also on the boundary of a segment', () => {
    const onBoundary = { ...needing(1, 10, 12), stopLsn: lsnOf(12n * BigInt(SEGMENT)) };
    const needs = { older: [onBoundary], fromFloor: [needing(1, 40, 41)] };
    expect([10, 11, 12].map((segment) => keepsWalFile(file(1, segment), needs))).toEqual([true, true, false]);
  });
});
