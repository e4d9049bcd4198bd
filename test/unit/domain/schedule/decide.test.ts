import { describe, expect, it } from 'vitest';
import type { DueRun } from '../../../../src/domain/schedule/due-run.ts';
import type { RepositoryFacts } from '../../../../src/domain/schedule/early.ts';
import { timelineIdOf } from '../../../../src/domain/postgres/timeline.ts';
import { learnReplayRate } from '../../../../src/domain/recovery/estimate.ts';
import { at, decide, failed, FULL, INCREMENTAL, LOCAL, run, S3, schedule } from './story.ts';

const BOTH = [FULL, INCREMENTAL];
const GIBIBYTE = 1024n ** 3n;

const told = (due: DueRun | undefined) =>
  due && `${due.type ?? due.kind} ${due.repositories.join('+')}${due.resumes ? ` resumes ${due.resumes.runId}` : ''}`;

/** Everything was done up to and with 2026-11-10 00:00. */
const UP_TO_DATE = [run(FULL, '2026-11-09 02:00'), run(INCREMENTAL, '2026-11-10 00:00')];

describe('a schedule', () => {
  it('is due at its time and not before, and once', () => {
    const before = decide('2026-11-10 01:59', BOTH, { runs: UP_TO_DATE });
    expect(before).toMatchObject({ queued: [], wakeAt: at('2026-11-10 02:00') });
    expect(before.start).toBeUndefined();
    const { start } = decide('2026-11-10 02:00', BOTH, { runs: UP_TO_DATE });
    expect(told(start)).toBe('full local');
    expect(start?.trigger).toEqual({ kind: 'schedule', name: 'daily-full', occurrence: at('2026-11-10 02:00') });
    expect(decide('2026-11-10 02:05', BOTH, { runs: [...UP_TO_DATE, run(FULL, '2026-11-10 02:00')] }).start).toBeUndefined();
  });

  it('that was never seen before catches up nothing', () => {
    const { start, firstSeen, wakeAt } = decide('2026-11-10 03:00', BOTH, { firstSeen: {} });
    expect(start).toBeUndefined();
    expect(wakeAt).toEqual(at('2026-11-10 06:00'));
    expect(told(decide('2026-11-10 06:01', BOTH, { firstSeen }).start)).toBe('incr local');
  });

  it('whose time was changed is not due at what the new time would have been before', () => {
    const moved = schedule('0 1 * * *');
    expect(decide('2026-11-10 03:00', [moved], { runs: UP_TO_DATE, firstSeen: {} }).start).toBeUndefined();
  });

  it('that is suspended is due never, and catches up nothing when it is no more', () => {
    const suspended = { ...FULL, suspended: true };
    const before = decide('2026-11-10 03:00', [suspended], { runs: UP_TO_DATE });
    expect(before).toMatchObject({ queued: [], firstSeen: {} });
    expect(decide('2026-11-10 03:01', [FULL], { runs: UP_TO_DATE, firstSeen: before.firstSeen }).start).toBeUndefined();
  });

  it('for several repositories gives each a run of its own, one after the other', () => {
    const both = { ...FULL, repositories: [LOCAL, S3] };
    const { start, queued } = decide('2026-11-10 02:00', [both]);
    expect([start, ...queued].map(told)).toEqual(['full local', 'full s3']);
    const running = run(FULL, '2026-11-10 02:00', { state: { kind: 'running' } });
    expect(decide('2026-11-10 02:01', [both], { runs: [running] })).toMatchObject({ queued: [{ repositories: ['s3'] }] });
    expect(told(decide('2026-11-10 02:02', [both], { runs: [run(FULL, '2026-11-10 02:00')] }).start)).toBe('full s3');
  });
});

describe('where one backup goes into several repositories', () => {
  const both = { ...FULL, repositories: [LOCAL, S3] };
  const engines = new Map([LOCAL, S3].map((name) => [name, { together: 'native' }]));

  it('one run does what is due in all of them', () => {
    const { start, queued } = decide('2026-11-10 02:00', [both], { engines });
    expect([start, ...queued].map(told)).toEqual(['full local+s3']);
  });

  it('what is due in one of them alone has a run of its own', () => {
    const runs = [run(FULL, '2026-11-10 02:00')];
    expect(told(decide('2026-11-10 02:01', [both], { engines, runs }).start)).toBe('full s3');
  });

  it('what another engine keeps has a run of its own', () => {
    const { start, queued } = decide('2026-11-10 02:00', [both], { engines: new Map([[LOCAL, { together: 'native' }]]) });
    expect([start, ...queued].map(told)).toEqual(['full local', 'full s3']);
  });

  it('one that is left undone in both is gone on with once', () => {
    const interrupted = run(both, '2026-11-10 02:00', { repositories: [LOCAL, S3], state: { kind: 'interrupted' } });
    const { start, queued } = decide('2026-11-10 02:05', [both], { engines, runs: [interrupted] });
    expect([start, ...queued].map(told)).toEqual([`full local+s3 resumes ${interrupted.runId}`]);
  });
});

describe('where this PostgreSQL has no incrementals', () => {
  const as = (withoutIncremental: 'full' | 'nothing') => new Map([[LOCAL, { withoutIncremental }]]);

  it('a full one is due in place of an incremental, or nothing, as configured', () => {
    expect(told(decide('2026-11-10 06:01', [INCREMENTAL], { engines: as('full') }).start)).toBe('full local');
    expect(decide('2026-11-10 06:01', [INCREMENTAL], { engines: as('nothing') })).toMatchObject({ queued: [], held: [] });
    expect(decide('2026-11-10 06:01', [INCREMENTAL], { engines: as('nothing') }).start).toBeUndefined();
    expect(told(decide('2026-11-10 02:01', BOTH, { engines: as('nothing') }).start)).toBe('full local');
  });
});

describe('after three days off', () => {
  const { start, queued, passedOver } = decide('2026-11-13 10:00', BOTH, { runs: UP_TO_DATE });

  it('one run catches up, which is the full', () => {
    expect([start, ...queued].map(told)).toEqual(['full local']);
    expect(start?.reason).toBe('due at 2026-11-13 02:00:00 UTC by daily-full, for 3 before it too');
  });

  it('what was missed is told', () => {
    expect(passedOver.map(({ schedule: name, count, reason }) => [name, count, reason.split(';')[0]])).toEqual([
      ['daily-full', 3, 'missed'],
      ['incremental', 12, 'missed'],
      ['incremental', 1, 'another backup that is about to begin does the same'],
    ]);
  });

  it('nothing is left to do once it is done', () => {
    const caughtUp = run(FULL, '2026-11-13 02:00', { startedAt: at('2026-11-13 10:00') });
    const after = decide('2026-11-13 10:30', BOTH, { runs: [...UP_TO_DATE, caughtUp] });
    expect([after.start, ...after.queued, ...after.held]).toEqual([undefined]);
    expect(after.wakeAt).toEqual(at('2026-11-13 12:00'));
    expect(after.passedOver.map(({ schedule: name, reason }) => `${name}: ${reason}`)).toEqual([
      `incremental: the full backup of run ${caughtUp.runId}, begun since, does the same`,
    ]);
  });
});

describe('a full that runs into the time of the incremental', () => {
  const running = run(FULL, '2026-11-10 02:00', { state: { kind: 'running' } });

  it('leaves one run in the queue however long it takes', () => {
    for (const now of ['2026-11-10 06:00', '2026-11-10 12:30', '2026-11-10 19:00']) {
      const { start, queued } = decide(now, BOTH, { runs: [...UP_TO_DATE, running] });
      expect(start).toBeUndefined();
      expect(queued.map(told)).toEqual(['incr local']);
    }
  });

  it('is followed by that one', () => {
    const done = run(FULL, '2026-11-10 02:00', { state: { kind: 'succeeded', endedAt: at('2026-11-10 13:00') } });
    const { start, queued } = decide('2026-11-10 13:00', BOTH, { runs: [...UP_TO_DATE, done] });
    expect(told(start)).toBe('incr local');
    expect(queued).toEqual([]);
  });
});

describe('a run that did not end well', () => {
  const at2 = (state: Parameters<typeof run>[2]) => [...UP_TO_DATE, run(FULL, '2026-11-10 02:00', { runId: 'it', ...state })];

  it('is gone on with where it was interrupted', () => {
    expect(told(decide('2026-11-10 02:10', BOTH, { runs: at2({ state: { kind: 'interrupted' } }) }).start)).toBe('full local resumes it');
  });

  it.each([
    ['transient', 1, '2026-11-10 02:11'],
    ['transient', 2, '2026-11-10 02:12'],
    ['transient', 10, '2026-11-10 02:40'],
    ['alternative', 1, '2026-11-10 02:15'],
    ['alternative', 9, '2026-11-10 03:10'],
    ['none', 1, '2026-11-10 03:10'],
    ['none', 2, '2026-11-10 04:10'],
  ] as const)('waits before it is tried again: %s, failed %d times', (retry, attempts, until) => {
    const runs = at2({ attempts, state: failed('2026-11-10 02:10', retry) });
    const { start, held, wakeAt } = decide('2026-11-10 02:10', BOTH, { runs });
    expect(start).toBeUndefined();
    expect(held).toMatchObject([{ until: at(until) }]);
    expect(wakeAt).toEqual(at(until));
    expect(told(decide(until, [FULL], { runs }).start)).toBe('full local resumes it');
  });

  it('is not tried again before its next time where that has been of no use', () => {
    const runs = at2({ attempts: 3, state: failed('2026-11-10 05:00', 'none') });
    expect(decide('2026-11-10 23:00', [FULL], { runs })).toMatchObject({ held: [{ why: expect.stringContaining('DISK_FULL') }] });
    expect(told(decide('2026-11-11 02:00', [FULL], { runs }).start)).toBe('full local');
  });

  it('is left where somebody cancelled it, or where it took longer than it may', () => {
    const left = decide('2026-11-10 03:00', [FULL], { runs: at2({ state: { kind: 'cancelled', endedAt: at('2026-11-10 02:10') } }) });
    expect([left.start, ...left.queued, ...left.held]).toEqual([undefined]);
    const limited = { ...FULL, maximumRunSeconds: 600 };
    const { start, held } = decide('2026-11-10 08:00', [limited], { runs: at2({ state: failed('2026-11-10 02:10') }) });
    expect(start).toBeUndefined();
    expect(held).toHaveLength(1);
  });

  it('does not hold up what else is due', () => {
    const runs = at2({ state: failed('2026-11-10 05:59', 'alternative') });
    expect(told(decide('2026-11-10 06:00', BOTH, { runs }).start)).toBe('incr local');
  });
});

describe('a clock that jumps', () => {
  it('back does not have a run done twice, and has what follows done', () => {
    const runs = [...UP_TO_DATE, run(FULL, '2026-11-10 02:00'), run(INCREMENTAL, '2026-11-10 06:00')];
    for (const now of ['2026-11-09 07:00', '2026-11-09 13:00', '2026-11-10 02:30', '2026-11-10 06:30']) {
      const due = decide(now, [FULL], { runs });
      expect([due.start, ...due.queued]).toEqual([undefined]);
    }
    expect(told(decide('2026-11-11 02:00', [FULL], { runs }).start)).toBe('full local');
  });

  it('back between the time of an occurrence and the start of its run does not have it done twice', () => {
    const late = run(FULL, '2026-11-10 02:00', { startedAt: at('2026-11-10 04:00') });
    const due = decide('2026-11-10 03:00', [FULL], { runs: [...UP_TO_DATE, late] });
    expect([due.start, ...due.queued]).toEqual([undefined]);
  });

  it('far ahead and back again loses no day', () => {
    const ahead = run(FULL, '2026-12-10 02:00', { startedAt: at('2026-12-10 09:00') });
    const { start } = decide('2026-11-11 02:00', BOTH, { runs: [...UP_TO_DATE, run(FULL, '2026-11-10 02:00'), ahead] });
    expect(told(start)).toBe('full local');
  });

  it('far ahead gives one run', () => {
    const { start, queued } = decide('2026-12-10 09:00', BOTH, { runs: UP_TO_DATE });
    expect([start, ...queued].map(told)).toEqual(['full local']);
  });

  it('back before a schedule was first seen has it due again at its next time', () => {
    const { firstSeen } = decide('2026-12-10 09:00', [FULL], { firstSeen: {} });
    const back = decide('2026-11-10 01:00', [FULL], { firstSeen });
    expect(back.start).toBeUndefined();
    expect(told(decide('2026-11-10 02:00', [FULL], { firstSeen: back.firstSeen }).start)).toBe('full local');
  });
});

describe('jitter', () => {
  const late = { ...FULL, jitterSeconds: 3600 };

  it('puts off a run by the same time whenever it is asked, and not more than it may', () => {
    const { wakeAt } = decide('2026-11-10 01:59', [late], { runs: UP_TO_DATE });
    expect(wakeAt).toBeGreaterThanOrEqual(at('2026-11-10 02:00'));
    expect(wakeAt).toBeLessThanOrEqual(at('2026-11-10 03:00'));
    const start = wakeAt!;
    expect(decide('2026-11-10 02:00', [late], { runs: UP_TO_DATE, now: (start - 1n) as typeof start })).toMatchObject({ wakeAt: start });
    const { start: due } = decide('2026-11-10 02:00', [late], { runs: UP_TO_DATE, now: start });
    expect(due?.trigger).toMatchObject({ occurrence: at('2026-11-10 02:00') });
  });

  it('puts off different clusters differently', () => {
    const starts = ['a', 'b', 'c', 'd', 'e', 'f'].map(
      (cluster) => decide('2026-11-10 01:59', [late], { cluster, runs: UP_TO_DATE }).wakeAt,
    );
    expect(new Set(starts).size).toBeGreaterThan(4);
  });
});

describe('a blackout', () => {
  const office = { from: 8 * 3600, to: 18 * 3600, daysOfWeek: new Set([1, 2, 3, 4, 5]) };
  const kept = { ...INCREMENTAL, blackouts: [office] };

  it('holds a run back until it ends, as one', () => {
    // 2026-11-10 is a Tuesday.
    const { start, held, wakeAt } = decide('2026-11-10 12:00', [kept], { runs: UP_TO_DATE });
    expect(start).toBeUndefined();
    expect(held).toMatchObject([{ until: at('2026-11-10 18:00'), why: 'a blackout' }]);
    expect(wakeAt).toEqual(at('2026-11-10 18:00'));
    const after = decide('2026-11-10 18:00', [kept], { runs: UP_TO_DATE });
    expect([after.start, ...after.queued].map(told)).toEqual(['incr local']);
    expect(after.start?.trigger).toMatchObject({ occurrence: at('2026-11-10 18:00') });
  });

  it('is meant in the zone of its schedule, over midnight, and by the day on which it begins', () => {
    // From Saturday 22:00 to Sunday 06:30 in New York is until 11:30 UTC.
    const night = { ...kept, timezone: 'America/New_York', blackouts: [{ from: 22 * 3600, to: 6.5 * 3600, daysOfWeek: new Set([6]) }] };
    expect(decide('2026-11-15 11:29', [night], { runs: UP_TO_DATE }).held).toMatchObject([{ until: at('2026-11-15 11:30') }]);
    expect(decide('2026-11-15 11:30', [night], { runs: UP_TO_DATE }).held).toEqual([]);
    expect(decide('2026-11-16 11:29', [night], { runs: UP_TO_DATE }).held).toEqual([]);
  });
});

describe('an expire after a good backup', () => {
  const full = { ...FULL, expireAfterBackup: true };

  it('is due once for each, in its repository', () => {
    const done = run(full, '2026-11-10 02:00');
    const { start } = decide('2026-11-10 02:02', [full], { runs: [done] });
    expect(told(start)).toBe('expire local');
    const expired = { ...done, runId: 'e', kind: 'expire' as const, startedAt: at('2026-11-10 02:02') };
    expect(decide('2026-11-10 02:04', [full], { runs: [done, expired] }).start).toBeUndefined();
  });

  it('is not due after a bad one', () => {
    const runs = [run(full, '2026-11-10 02:00', { state: failed('2026-11-10 02:10') })];
    expect(decide('2026-11-10 02:10', [full], { runs }).start).toBeUndefined();
  });
});

describe('a backup before its time', () => {
  const repository = (changes: Partial<RepositoryFacts> = {}): RepositoryFacts => ({
    name: LOCAL,
    kind: 'local',
    readAt: at('2026-11-10 03:00'),
    lastBackup: {
      timeline: timelineIdOf(1),
      startedAt: at('2026-11-10 00:00'),
      endedAt: at('2026-11-10 00:01'),
      databaseBytes: 10n * GIBIBYTE,
    },
    walBytesSinceBackup: GIBIBYTE,
    replayRate: learnReplayRate('local', []),
    ...changes,
  });
  const facts = { runs: [...UP_TO_DATE, run(FULL, '2026-11-10 02:00')], timeline: timelineIdOf(1), rtoSeconds: 1800 };

  it('is due at once where WAL is missing for good, whatever else is early, and also in a blackout', () => {
    const gap = 'WAL 00000001000000000000000A is missing in local';
    const blackouts = [{ from: 0, to: 12 * 3600, daysOfWeek: new Set([0, 1, 2, 3, 4, 5, 6]) }];
    const changed = { ...facts, timeline: timelineIdOf(2), repositories: [repository({ gap })] };
    const { start } = decide('2026-11-10 03:00', [{ ...FULL, blackouts }], changed);
    expect(start).toMatchObject({ kind: 'backup', type: 'incr', repositories: [LOCAL], trigger: { kind: 'early', reason: gap } });
  });

  it('is due at once after the timeline has changed: an incremental for pgBackRest, a full for a native engine', () => {
    const changed = { ...facts, timeline: timelineIdOf(2), repositories: [repository()] };
    const { start } = decide('2026-11-10 03:00', BOTH, changed);
    expect(told(start)).toBe('incr local');
    expect(start?.trigger).toEqual({ kind: 'early', reason: 'the primary is on timeline 2, the last backup on timeline 1' });
    expect(
      told(decide('2026-11-10 03:00', BOTH, { ...changed, engines: new Map([[LOCAL, { needsFullOnNewTimeline: true }]]) }).start),
    ).toBe('full local');
  });

  it('is due when replay would take longer than the time for a recovery leaves, and says so', () => {
    // Copying 10 GiB at 100 MiB/s takes 102.4 s, and 5 s are for the rest: of 1800 s 1692.6 s are left, in which 66.1 GiB are replayed at 40 MiB/s.
    const after = (walBytesSinceBackup: bigint) =>
      decide('2026-11-10 03:00', BOTH, { ...facts, repositories: [repository({ walBytesSinceBackup })] });
    expect(after(66n * GIBIBYTE).start).toBeUndefined();
    const { start } = after(67n * GIBIBYTE);
    expect(told(start)).toBe('incr local');
    expect(start?.reason).toBe(
      'replaying the 67 GiB of WAL since the last backup would take 28m35s (40 MiB/s, assumed until a restore has been measured), ' +
        'and of the 30m00s for a recovery 28m13s are left for it',
    );
  });

  it('rests on what restores have been measured to replay', () => {
    const replayRate = learnReplayRate('local', [{ walBytes: 10 * 1024 ** 3, seconds: 1024 }]);
    const { start } = decide('2026-11-10 03:00', BOTH, {
      ...facts,
      repositories: [repository({ walBytesSinceBackup: 17n * GIBIBYTE, replayRate })],
    });
    expect(start?.reason).toContain('10 MiB/s, measured in 1 restore');
  });

  it('is not due where copying alone takes longer: that would only add load', () => {
    const repositories = [repository({ walBytesSinceBackup: 500n * GIBIBYTE })];
    expect(decide('2026-11-10 03:00', BOTH, { ...facts, rtoSeconds: 60, repositories }).start).toBeUndefined();
  });

  it('is not due a second time before the repository has been looked at again', () => {
    const early = run(INCREMENTAL, '2026-11-10 03:00', { trigger: { kind: 'early', reason: 'timeline' } });
    const changed = { ...facts, timeline: timelineIdOf(2), repositories: [repository()], runs: [...facts.runs, early] };
    expect(decide('2026-11-10 03:02', BOTH, changed).start).toBeUndefined();
  });

  it('waits as any other after it has failed, and is the same run again', () => {
    const early = run(INCREMENTAL, '2026-11-10 03:00', {
      runId: 'e',
      trigger: { kind: 'early', reason: 'timeline' },
      state: failed('2026-11-10 03:01'),
    });
    const changed = { ...facts, timeline: timelineIdOf(2), repositories: [repository()], runs: [...facts.runs, early] };
    expect(decide('2026-11-10 03:01', BOTH, changed)).toMatchObject({ held: [{ until: at('2026-11-10 03:02') }] });
    expect(told(decide('2026-11-10 03:02', BOTH, changed).start)).toBe('incr local resumes e');
  });

  it('is not due in a repository into which no schedule takes backups', () => {
    const changed = { ...facts, timeline: timelineIdOf(2), repositories: [repository({ name: S3 })] };
    expect(decide('2026-11-10 03:00', BOTH, changed).start).toBeUndefined();
  });

  it('is what a scheduled one does that is due at the same time', () => {
    const { start, queued } = decide('2026-11-10 06:00', BOTH, { ...facts, timeline: timelineIdOf(2), repositories: [repository()] });
    expect([start, ...queued].map((due) => due?.trigger.kind)).toEqual(['schedule']);
  });
});
