import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BackupLabel, BaseBackup } from '../../../../src/domain/catalog/base-backup.ts';
import { planRetention } from '../../../../src/domain/retention/plan-retention.ts';
import { isActive, type Pin } from '../../../../src/domain/retention/pin.ts';
import type { RetentionFacts, RetentionPlan, RetentionPolicy, Verdict } from '../../../../src/domain/retention/policy.ts';
import { ago, type Aged, backupsOf, DAY, factsOf, going, LOCAL, NOW, ownExpiryOf, SEGMENT_SIZE_BYTES } from './world.ts';

const SIZE = BigInt(SEGMENT_SIZE_BYTES);

/** Ages fall from backup to backup. Gaps are hundredths of a day, all as likely: a double is as likely to be tiny as not. */
const story: fc.Arbitrary<readonly Aged[]> = fc
  .array(
    fc.record({
      gap: fc.integer({ min: 1, max: 400 }).map((hundredths) => hundredths / 100),
      type: fc.constantFrom('full', 'incr', 'diff'),
      bad: fc.nat(40),
    }),
    {
      minLength: 1,
      maxLength: 14,
      size: 'max',
    },
  )
  .map((steps) => {
    let days = 0;
    const newestFirst = steps.map(({ gap, type, bad }) => ({ days: (days += gap), type, hasPageErrors: bad === 0 }));
    return newestFirst.reverse();
  });

interface Scenario {
  readonly backups: readonly BaseBackup[];
  readonly policy: RetentionPolicy;
  readonly facts: RetentionFacts;
}

/** In one of six: most stories shall be of normal life, where something goes. */
function rarely<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: value });
}

const scenario: fc.Arbitrary<Scenario> = fc
  .record({
    story,
    days: fc.integer({ min: 2, max: 20 }),
    requireVerified: rarely(fc.constant(true)).map((value) => value ?? false),
    maxSharePercent: fc.integer({ min: 1, max: 100 }),
    confirmed: fc.boolean(),
    pins: fc.array(fc.record({ place: fc.nat(13), ends: fc.option(fc.integer({ min: -5, max: 5 })) }), { maxLength: 3 }),
    verdicts: fc.array(
      fc.record({
        place: fc.option(fc.nat(13)),
        days: fc.nat(40),
        sound: fc.nat(5).map((one) => one > 0),
        contradicted: rarely(fc.constant(true)),
      }),
      {
        maxLength: 3,
      },
    ),
    clock: rarely(fc.integer({ min: -10_000, max: 10_000 })),
    jump: rarely(fc.integer({ min: 1, max: 400 })),
  })
  .map(({ story: aged, days, requireVerified, maxSharePercent, confirmed, pins, verdicts, clock, jump }) => {
    const backups = backupsOf(aged);
    const labelAt = (place: number) => backups[place % backups.length]?.label as BackupLabel;
    const now = jump === null ? NOW : ago(-jump);
    return {
      backups,
      policy: { days, requireVerified, maxSharePercent },
      facts: factsOf(
        backups,
        {
          now,
          confirmed,
          pins: pins.map(
            ({ place, ends }): Pin => ({
              repository: LOCAL,
              label: labelAt(place),
              until: ends === null ? 'forever' : ago(-ends),
              reason: 'x',
            }),
          ),
          verdicts: verdicts.flatMap(({ place, days: age, sound, contradicted }): Verdict[] => {
            const verdict = { repository: LOCAL, at: ago(age), sound, ...(place === null ? {} : { label: labelAt(place) }) };
            return contradicted === null ? [verdict] : [verdict, { ...verdict, sound: !sound }];
          }),
          clocks: clock === null ? [] : [{ whose: 'x', aheadSeconds: clock }],
        },
        days,
      ),
    };
  });

/** Of what the newest look at a backup found, the worst; undefined where nobody looked. */
function lookedAt(one: BaseBackup, { verdicts }: RetentionFacts): 'sound' | 'damaged' | undefined {
  const looks = verdicts.filter(({ label, at }) => (label === undefined ? at >= one.stopTime : label === one.label));
  const newest = looks.filter(({ at }) => looks.every((other) => other.at <= at));
  if (newest.length === 0) return undefined;
  return newest.every(({ sound }) => sound) ? 'sound' : 'damaged';
}

function check(holds: (plan: RetentionPlan, scenario: Scenario, kept: ReadonlySet<string>) => void): void {
  fc.assert(
    fc.property(scenario, (one) => {
      const plan = planRetention(one.policy, one.facts);
      holds(plan, one, new Set(plan.backups.filter(({ decision }) => decision === 'keep').map(({ backup }) => backup.label)));
    }),
    { numRuns: 1500 },
  );
}

describe('whatever the story, the policy and the clock', () => {
  it('something goes in many of them, or the rest would say little', () => {
    const plans = fc.sample(scenario, 2000).map(({ policy, facts }) => planRetention(policy, facts));
    expect(plans.filter((plan) => going(plan).length > 0).length).toBeGreaterThan(20);
    expect(plans.filter(({ holds }) => holds.length > 0).length).toBeGreaterThan(20);
  });

  it('each backup and each segment is decided on once', () => {
    check(({ backups, wal }, { facts }) => {
      expect(backups.map(({ backup }) => backup.label)).toEqual(facts.snapshot.backups.map(({ label }) => label));
      const decided = wal.flatMap(({ firstSegment, lastSegment }) =>
        Array.from({ length: Number(lastSegment - firstSegment) + 1 }, (_, index) => Number(firstSegment) + index),
      );
      const archived = facts.snapshot.walArchive?.ranges.flatMap(({ firstSegment, lastSegment }) =>
        Array.from({ length: Number(lastSegment - firstSegment) + 1 }, (_, index) => Number(firstSegment) + index),
      );
      expect(decided).toEqual(archived);
    });
  });

  it('what a kept backup needs is kept', () => {
    check(({ backups }, _scenario, kept) => {
      for (const { backup } of backups.filter(({ decision }) => decision === 'keep'))
        expect([...backup.references, ...(backup.prior === undefined ? [] : [backup.prior])].every((one) => kept.has(one))).toBe(true);
    });
  });

  it('the newest sound full backup and all that depends on it are kept', () => {
    check(({ backups }, { facts }, kept) => {
      const newest = backups
        .map(({ backup }) => backup)
        .findLast((one) => one.type === 'full' && !one.hasPageErrors && lookedAt(one, facts) !== 'damaged');
      if (newest === undefined) return;
      for (const { backup } of backups)
        if (backup.label === newest.label || backup.references.includes(newest.label)) expect(kept.has(backup.label)).toBe(true);
    });
  });

  it('where something goes, a sound full backup from before the window stays, and one of the window is there', () => {
    check((plan, { policy, facts }, kept) => {
      if (going(plan).length === 0) return;
      const start = facts.now - BigInt(policy.days) * DAY;
      const fulls = plan.backups
        .map(({ backup }) => backup)
        .filter(({ type, hasPageErrors, label }) => type === 'full' && !hasPageErrors && kept.has(label));
      const enough = policy.requireVerified ? ['sound'] : ['sound', undefined];
      const counts = (one: BaseBackup) => enough.includes(lookedAt(one, facts));
      expect(fulls.some((one) => one.stopTime < start && counts(one))).toBe(true);
      expect(plan.backups.some(({ backup }) => backup.stopTime >= start - 1_000_000n && kept.has(backup.label))).toBe(true);
    });
  });

  it('what a pin holds stays', () => {
    check((_plan, { facts }, kept) => {
      for (const pin of facts.pins.filter((one) => isActive(one, facts.now))) expect(kept.has(pin.label)).toBe(true);
    });
  });

  it('the WAL that makes a kept backup consistent stays, and from the base on all of it', () => {
    check(({ backups, wal, walFloor }, _scenario) => {
      const isKept = (segment: bigint) =>
        wal.some((one) => one.decision === 'keep' && one.firstSegment <= segment && segment <= one.lastSegment);
      for (const { backup } of backups.filter(({ decision }) => decision === 'keep'))
        for (let segment = backup.startLsn / SIZE; segment <= (backup.stopLsn - 1n) / SIZE; segment += 1n)
          expect(isKept(segment)).toBe(true);
      const floor = backups.find(({ backup }) => backup.label === walFloor)?.backup;
      if (floor === undefined) return;
      for (const one of wal) if (one.firstSegment >= floor.startLsn / SIZE) expect(one.decision).toBe('keep');
    });
  });

  it('no more goes than pgBackRest itself would expire, and without pins, faults and doubts exactly that', () => {
    check((plan, { backups, policy, facts }) => {
      const own = ownExpiryOf(backups, policy.days, facts.now).backups as readonly string[];
      expect(going(plan).filter((one) => !own.includes(one))).toEqual([]);
      const isPlain = plan.holds.length === 0 && facts.pins.length === 0 && facts.verdicts.length === 0 && !policy.requireVerified;
      if (isPlain && backups.every(({ hasPageErrors }) => !hasPageErrors)) {
        expect(going(plan)).toEqual(own);
        expect(plan.differences).toEqual([]);
      }
    });
  });

  it('not more than the share goes without a confirmation', () => {
    check((plan, { policy, facts }) => {
      if (!facts.confirmed) expect(going(plan).length * 100).toBeLessThanOrEqual(policy.maxSharePercent * plan.backups.length);
    });
  });

  it('a second run after the first has nothing more to do: what was kept is kept', () => {
    check((plan, { policy, facts }, kept) => {
      if (going(plan).length === 0) return;
      const backups = facts.snapshot.backups.filter(({ label }) => kept.has(label));
      const again = planRetention(policy, {
        ...facts,
        snapshot: { ...facts.snapshot, backups },
        own: ownExpiryOf(backups, policy.days, facts.now),
      });
      expect(going(again)).toEqual([]);
    });
  });
});
