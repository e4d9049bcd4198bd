import { describe, expect, it } from 'vitest';
import type { BackupLabel, BaseBackup } from '../../../../src/domain/catalog/base-backup.ts';
import type { Pin } from '../../../../src/domain/retention/pin.ts';
import { planRetention } from '../../../../src/domain/retention/plan-retention.ts';
import type { RetentionPlan, Verdict } from '../../../../src/domain/retention/policy.ts';
import { ago, backupsOf, factsOf, full, going, incr, kept, label, LOCAL, NOW, planOf, snapshot, tli, WEEK, walOf } from './world.ts';

const WEEKLY = [full(22), incr(20), full(15), incr(13), full(8), incr(6), full(1), incr(0.1)];

const reasonOf = (plan: RetentionPlan, name: string) => plan.backups.find(({ backup }) => backup.label === name)?.reason;
const kinds = (plan: RetentionPlan) => plan.holds.map(({ kind }) => kind);
const pin = (name: string, more: Partial<Pin> = {}): Pin => ({
  repository: LOCAL,
  label: label(name),
  until: 'forever',
  reason: 'audit',
  ...more,
});
const wal = (plan: RetentionPlan, decision: 'keep' | 'expire') =>
  plan.wal.filter((one) => one.decision === decision).map(({ firstSegment, lastSegment }) => [Number(firstSegment), Number(lastSegment)]);

describe('what is kept by days', () => {
  it('is everything from the newest full backup that is older than they are', () => {
    const plan = planOf(WEEKLY);
    expect(going(plan)).toEqual(['F0001', 'F0001-001', 'F0002', 'F0002-001']);
    expect(reasonOf(plan, 'F0002')).toMatch(/^every instant of the last 7 days is recovered from F0003 \(finished .*\) or a newer one$/);
    expect(reasonOf(plan, 'F0003')).toMatch(/^every instant of the last 7 days is recovered from it/);
    expect(reasonOf(plan, 'F0003-001')).toBe('finished within the last 7 days');
  });

  it('is everything where no full backup is that old', () => {
    const plan = planOf([full(6.9), full(1)]);
    expect(going(plan)).toEqual([]);
    expect(plan.holds).toEqual([]);
  });

  it('is the only full backup, however old, with its WAL', () => {
    const plan = planOf([full(400), incr(399)], {}, { confirmed: true });
    expect(kept(plan)).toEqual(['F0001', 'F0001-001']);
    expect(wal(plan, 'keep').at(-1)?.[1]).toBe(35);
  });

  it('is a full backup of exactly that age: it has to be older', () => {
    expect(going(planOf([full(14), full(7), full(1)]))).toEqual([]);
    expect(going(planOf([full(14), full(7.0001), full(1)]))).toEqual(['F0001']);
  });

  it('is a full backup whose incremental one is young enough, and the incremental ones of the one that is needed', () => {
    expect(kept(planOf([full(30), full(20), incr(19), incr(1)]))).toEqual(['F0002', 'F0002-001', 'F0002-002']);
  });

  it('counts every second: what finished in the window by less than one is in it', () => {
    const plan = planOf([full(30), { days: 7 - 0.5 / 86_400, type: 'full' }, full(1)]);
    expect(going(plan)).toEqual([]);
  });
});

describe('a full backup that by its times ended before it began', () => {
  it('takes the place of none, for when it was whole is not known', () => {
    const usual = backupsOf([full(10), full(9), full(8), full(7.5), full(1)]);
    // It began after the one of eight days ago: its true end may lie in the window.
    const backups = usual.map((one, index) => (index === 3 ? { ...one, startTime: ago(6.9) } : one));
    expect(going(planRetention({ ...WEEK, maxSharePercent: 100 }, factsOf(usual)))).toEqual(['F0001', 'F0002', 'F0003']);
    expect(going(planRetention({ ...WEEK, maxSharePercent: 100 }, factsOf(backups)))).toEqual(['F0001', 'F0002']);
  });

  it('goes in its turn', () => {
    const backups = backupsOf([full(10), full(9), full(8), full(1)]);
    const turned = backups.map((one, index) => (index === 1 ? { ...one, startTime: ago(8.5) } : one));
    expect(going(planRetention(WEEK, factsOf(turned)))).toEqual(['F0001', 'F0002']);
  });
});

describe('WAL', () => {
  it('goes up to the beginning of the oldest backup that stays', () => {
    const plan = planOf(WEEKLY);
    expect(wal(plan, 'expire')).toEqual([[1, 49]]);
    expect(wal(plan, 'keep')).toEqual([[50, 95]]);
    expect(plan.walFloor).toBe('F0003');
  });

  it('goes before the first backup, where no backup goes', () => {
    const plan = planOf([full(1)]);
    expect(wal(plan, 'expire')).toEqual([[1, 9]]);
  });

  it('stays for a pinned backup from its beginning to its end, with that of what it needs', () => {
    const plan = planOf(WEEKLY, {}, { pins: [pin('F0001-001')] });
    expect(wal(plan, 'keep')).toEqual([
      [10, 11],
      [20, 21],
      [50, 95],
    ]);
  });

  it('stays whole where a pinned backup is of an older timeline, whose history it needs', () => {
    const backups = backupsOf([full(30), full(8), full(1)]);
    const onTimelines = backups.map((one, index) => ({ ...one, timeline: tli(index === 0 ? 2 : 3) }));
    const segments = walOf(backups).map((one) => ({ ...one, timeline: tli(one.segmentNumber < 20n ? 2 : 3) }));
    const facts = factsOf(onTimelines, { snapshot: snapshot({ backups: onTimelines, wal: segments }) });
    expect(wal(planRetention(WEEK, facts), 'expire')).toEqual([[1, 19]]);
    const pinned = planRetention(WEEK, { ...facts, pins: [pin('F0001')] });
    expect(wal(pinned, 'expire')).toEqual([]);
    expect(pinned.wal[0]?.reason).toContain('history of timeline 2');
  });

  it('stays where the engine itself would keep another part of it', () => {
    const backups = backupsOf(WEEKLY);
    const own = { backups: [] as BackupLabel[], walFloors: [label('F0001')] };
    const plan = planRetention(WEEK, factsOf(backups, { own: { ...own, backups: backups.slice(0, 4).map((one) => one.label) } }));
    expect(wal(plan, 'expire')).toEqual([]);
    expect(plan.differences).toEqual([expect.stringContaining('F0001')]);
  });
});

describe('a pin', () => {
  it('holds its backup with all that it needs, and nothing that needs it', () => {
    const plan = planOf([full(30), incr(29), incr(28), full(20), full(8), full(1)], {}, { pins: [pin('F0001-001')] });
    expect(going(plan)).toEqual(['F0001-002', 'F0002']);
    expect(reasonOf(plan, 'F0001-001')).toBe('pinned forever: audit');
    expect(reasonOf(plan, 'F0001')).toBe('the pinned F0001-001 needs it');
  });

  it('holds until it ends', () => {
    expect(going(planOf(WEEKLY, {}, { pins: [pin('F0001', { until: ago(-0.001) })] }))).not.toContain('F0001');
    expect(going(planOf(WEEKLY, {}, { pins: [pin('F0001', { until: NOW })] }))).toContain('F0001');
  });

  it('holds although somebody has typed the name of the cluster', () => {
    expect(going(planOf(WEEKLY, {}, { pins: [pin('F0001')], confirmed: true }))).not.toContain('F0001');
  });
});

describe('nothing goes', () => {
  it.each([true, false])('because of a newer backup with page errors (confirmed: %s)', (confirmed) => {
    const plan = planOf([full(30), full(20), full(9), full(3), { ...full(1), hasPageErrors: true }], {}, { confirmed });
    expect(going(plan)).toEqual([]);
    expect(kinds(plan)).toEqual(['unsound']);
    expect(reasonOf(plan, 'F0001')).toContain('F0005 was stored with page checksum errors');
  });

  it('in favour of one that is bad: an older sound one takes its place', () => {
    const plan = planOf([full(40), full(30), { ...full(20), hasPageErrors: true }, full(9), full(2), full(1)]);
    expect(going(plan)).toEqual(['F0001', 'F0002', 'F0003']);
    expect(going(planOf([full(40), full(30), { ...full(9), hasPageErrors: true }, full(1)]))).toEqual([]);
  });

  it('while a backup in the window was found damaged, until a later look found it sound', () => {
    const verdict = (sound: boolean, days: number): Verdict => ({ repository: LOCAL, label: label('F0004'), at: ago(days), sound });
    expect(kinds(planOf(WEEKLY, {}, { verdicts: [verdict(false, 0.5)] }))).toEqual(['unsound']);
    expect(kinds(planOf(WEEKLY, {}, { verdicts: [verdict(false, 0.5), verdict(true, 0.2)] }))).toEqual([]);
  });

  it('where verdicts of the same instant contradict each other, in whatever order and however widely they were said', () => {
    const ofBackup = (sound: boolean): Verdict => ({ repository: LOCAL, label: label('F0003'), at: ago(0.05), sound });
    const ofAll = (sound: boolean): Verdict => ({ repository: LOCAL, at: ago(0.05), sound });
    const pairs = [ofBackup, ofAll].flatMap((good) => [ofBackup, ofAll].map((bad) => [good(true), bad(false)]));
    for (const verdicts of pairs)
      for (const told of [verdicts, verdicts.toReversed()]) expect(going(planOf(WEEKLY, {}, { verdicts: told }))).toEqual([]);
  });

  it('for an incremental backup whose full one is damaged', () => {
    const verdicts = [{ repository: LOCAL, label: label('F0003'), at: ago(0.5), sound: false }];
    const plan = planOf(WEEKLY, {}, { verdicts });
    expect(going(plan)).toEqual([]);
  });

  it('while backups fail, until one has succeeded', () => {
    expect(kinds(planOf(WEEKLY, {}, { backupFailedAt: ago(0.05) }))).toEqual(['failing']);
    expect(kinds(planOf(WEEKLY, {}, { backupFailedAt: ago(0.5) }))).toEqual([]);
  });

  it('when none has succeeded for as long as the window, even with a confirmation', () => {
    const plan = planOf([full(50), full(45), full(40), full(31)], {}, { confirmed: true });
    expect(going(plan)).toEqual([]);
    expect(kinds(plan)).toEqual(['no-new-backup']);
  });

  it('when our clock has jumped ahead, without a confirmation', () => {
    const month = { now: ago(-29), own: { unavailable: '' } };
    const backups = backupsOf(WEEKLY);
    const facts = factsOf(backups, { now: month.now }, 30);
    expect(kinds(planRetention({ ...WEEK, days: 30 }, facts))).toContain('clock');
    expect(kinds(planRetention({ ...WEEK, days: 30 }, { ...facts, confirmed: true }))).not.toContain('clock');
  });

  it.each([
    [7200, 'behind'],
    [-7200, 'ahead of'],
  ])('when another clock is %i s away', (aheadSeconds, relation) => {
    const plan = planOf(WEEKLY, {}, { clocks: [{ whose: 'the server primary', aheadSeconds }] });
    expect(plan.holds).toEqual([
      { kind: 'clock', confirmable: true, reason: `the clock of this machine is 2h00m ${relation} that of the server primary` },
    ]);
  });

  it('when our clock is behind the newest backup', () => {
    const backups = backupsOf([full(30), full(20), full(10), full(1)]);
    expect(kinds(planRetention(WEEK, factsOf(backups, { now: ago(1.5) })))).toEqual(['clock']);
  });

  it('when it would be more than the share, without a confirmation', () => {
    const story = [full(40), full(30), full(20), full(9), full(1)];
    const plan = planOf(story);
    expect(kinds(plan)).toEqual(['share']);
    expect(reasonOf(plan, 'F0001')).toBe('3 of 5 backups would go at once, which is more than 50 % (retention.maxSharePercent)');
    expect(going(planOf(story, {}, { confirmed: true }))).toEqual(['F0001', 'F0002', 'F0003']);
    expect(going(planOf(story, { maxSharePercent: 60 }))).toEqual(['F0001', 'F0002', 'F0003']);
  });

  it('when the engine could not be asked', () => {
    const plan = planOf(WEEKLY, {}, { own: { unavailable: 'a backup is under way' }, confirmed: true });
    expect(going(plan)).toEqual([]);
    expect(kinds(plan)).toEqual(['unchecked']);
    expect(wal(plan, 'expire')).toEqual([]);
  });
});

describe('where verification is required', () => {
  const sound = (days: number): Verdict => ({ repository: LOCAL, at: ago(days), sound: true });
  const policy = { requireVerified: true };

  it('a full backup lets older ones go only once it was found sound', () => {
    expect(going(planOf(WEEKLY, policy))).toEqual([]);
    expect(going(planOf(WEEKLY, policy, { verdicts: [sound(14)] }))).toEqual(['F0001', 'F0001-001']);
    expect(going(planOf(WEEKLY, policy, { verdicts: [sound(7.5)] }))).toEqual(['F0001', 'F0001-001', 'F0002', 'F0002-001']);
  });

  it('in normal life, verified once a week, things go: what is unverified is no reason to hold everything', () => {
    expect(kinds(planOf(WEEKLY, policy, { verdicts: [sound(7.5)] }))).toEqual([]);
  });
});

describe('what the engine itself would do', () => {
  it('is no difference where pins and bad backups explain it', () => {
    expect(planOf(WEEKLY, {}, { pins: [pin('F0001')] }).differences).toEqual([]);
    expect(planOf([full(40), full(30), { ...full(9), hasPageErrors: true }, full(1)]).differences).toEqual([]);
  });

  it('is a difference where it would keep what we would let go: it stays, with what it needs', () => {
    const own = { backups: [label('F0001')], walFloors: [] };
    const plan = planOf(WEEKLY, {}, { own });
    expect(going(plan)).toEqual([]);
    expect(plan.differences).toHaveLength(3);
    expect(reasonOf(plan, 'F0001')).toBe('the engine itself would keep it');
  });

  it('is a difference where it would let go what we keep', () => {
    const own = {
      backups: backupsOf(WEEKLY)
        .slice(0, 5)
        .map((one: BaseBackup) => one.label),
      walFloors: [],
    };
    const plan = planOf(WEEKLY, {}, { own });
    expect(plan.differences).toEqual([expect.stringMatching(/would expire F0003 .*which is needed: it stays/)]);
    expect(kept(plan)).toContain('F0003');
  });
});
