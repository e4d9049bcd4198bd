import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideNotices, type NoticePolicy, rememberUndelivered } from '../../../../src/domain/notices/decide.ts';
import { EMPTY_MEMORY, MEMORY_LIMITS, type NoticeMemory } from '../../../../src/domain/notices/memory.ts';
import type { Notice, Observation } from '../../../../src/domain/notices/notice.ts';
import {
  observationOfDrill,
  observationOfExposure,
  observationOfMissedRuns,
  observationsOfRun,
} from '../../../../src/domain/notices/observations.ts';
import { addMicros, type Instant, instantOfMicros } from '../../../../src/domain/time/instant.ts';

const START = instantOfMicros(1_795_382_188_000_000n);
const POLICY: NoticePolicy = { remindAfterSeconds: 24 * 3_600, mostPerHour: 20 };

const at = (hours: number): Instant => addMicros(START, BigInt(Math.round(hours * 3_600_000)) * 1_000n);
const failing = (subject = 'backup daily', code = 'TOOL_FAILED'): Observation => ({
  ...{ cluster: 'main', topic: 'run', subject, state: 'failing', cause: `because of ${code}`, next: 'spoke-backup runs', code },
});
const well = (subject = 'backup daily'): Observation => ({ ...failing(subject), state: 'well', cause: 'all is well' });

/** Reports one after the other, at hours after the start; what was said at each. */
function told(story: readonly (readonly [hours: number, ...observations: Observation[]])[], policy = POLICY) {
  let memory: NoticeMemory = EMPTY_MEMORY;
  return story.map(([hours, ...observations]) => {
    const decided = decideNotices(observations, memory, policy, at(hours));
    memory = decided.memory;
    return decided.notices;
  });
}

const kinds = (said: readonly (readonly Notice[])[]) => said.map((notices) => notices.map(({ kind }) => kind));
const titles = (said: readonly (readonly Notice[])[]) => said.map((notices) => notices.map(({ title }) => title));

describe('a failure', () => {
  it('is said once, with the cluster, the cause and the next command, however often it is seen', () => {
    const said = told([
      [0, failing()],
      [1, failing()],
      [2, failing()],
    ]);
    expect(kinds(said)).toEqual([['failure'], [], []]);
    expect(said[0]).toMatchObject([
      {
        title: 'main: backup daily failed',
        cause: 'because of TOOL_FAILED',
        next: 'spoke-backup runs',
        cluster: 'main',
        code: 'TOOL_FAILED',
      },
    ]);
  });

  it('that is over is said once, with how long it lasted', () => {
    const said = told([
      [0, failing()],
      [2, well()],
      [3, well()],
    ]);
    expect(titles(said)).toEqual([['main: backup daily failed'], ['main: backup daily recovered after 2h00m'], []]);
  });

  it('is said again at the stated interval while it lasts, also where nothing new is seen of it', () => {
    const said = told([[0, failing()], [23, failing()], [24, failing()], [47], [48], [71]]);
    expect(kinds(said)).toEqual([['failure'], [], ['reminder'], [], ['reminder'], []]);
    expect(titles(said)[2]).toEqual(['main: backup daily has been failing for 24h00m, since 2026-11-22 21:16:28 UTC (3 times)']);
  });

  it('whose cause is another one is said at once, each cause once', () => {
    const said = told([
      [0, failing()],
      [1, failing('backup daily', 'DISK_FULL')],
      [2, failing()],
      [3, failing('backup daily', 'DISK_FULL')],
    ]);
    expect(kinds(said)).toEqual([['failure'], ['reminder'], [], []]);
  });

  it('that comes back after it was over is a failure again', () => {
    expect(
      kinds(
        told([
          [0, failing()],
          [1, well()],
          [2, failing()],
        ]),
      ),
    ).toEqual([['failure'], ['recovery'], ['failure']]);
  });

  it.each<[string, Partial<Observation>]>([
    ['cluster', { cluster: 'other' }],
    ['subject', { subject: 'backup hourly' }],
    ['topic', { topic: 'drill' }],
  ])('of another %s is another one', (_what, changes) => {
    expect(
      kinds(
        told([
          [0, failing()],
          [1, { ...failing(), ...changes }],
        ]),
      ),
    ).toEqual([['failure'], ['failure']]);
  });
});

describe('what is well', () => {
  it('is not said', () => {
    expect(told([[0, well()]])).toEqual([[]]);
  });

  it('is said where it is the result of a drill, once a run', () => {
    const drill = { ...well('restore drill'), topic: 'drill', isResult: true, runId: 'one' } as const;
    expect(
      kinds(
        told([
          [0, drill],
          [1, drill],
          [2, { ...drill, runId: 'two' }],
        ]),
      ),
    ).toEqual([['result'], [], ['result']]);
  });
});

describe('a storm', () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => failing(`backup ${index}`));

  it('is cut off at the cap, and how many were held back is said when there is room again', () => {
    const said = told([[0, ...many(50)], [0.5], [1.01]], { ...POLICY, mostPerHour: 10 });
    expect(said[0]).toHaveLength(10);
    expect(said[1]).toEqual([]);
    expect(said[2]?.[0]).toMatchObject({ kind: 'held-back', title: '40 notices were held back', cluster: undefined });
    // What still fails and was never said follows, as far as there is room.
    expect(kinds(said)[2]).toEqual(['held-back', ...Array<string>(9).fill('failure')]);
  });

  it('says what is wrong before what is over', () => {
    const said = told(
      [
        [0, failing('one'), failing('two')],
        [0.5, well('one'), failing('three')],
        [1.01, well('one'), failing('four')],
      ],
      { ...POLICY, mostPerHour: 3 },
    );
    expect(titles(said)[1]).toEqual(['main: three failed']);
    expect(titles(said)[2]).toEqual(['1 notice was held back', 'main: four failed']);
  });

  it('of which nothing was said needs no recovery', () => {
    const said = told([[0, failing('one'), failing('two'), failing('three')], [0.5, well('three')], [2]], { ...POLICY, mostPerHour: 2 });
    expect(kinds(said)).toEqual([['failure', 'failure'], [], ['held-back']]);
  });

  it('holds back no recovery for good', () => {
    const said = told(
      [
        [0, failing('one'), failing('two')],
        [0.5, well('one')],
        [2, well('one')],
      ],
      { ...POLICY, mostPerHour: 2 },
    );
    expect(kinds(said)).toEqual([['failure', 'failure'], [], ['held-back', 'recovery']]);
  });

  it('counts what it holds back once, however often it looks', () => {
    const ticks = Array.from({ length: 50 }, (_, index) => [0.01 * (index + 1), failing('three')] as const);
    const said = told([[0, failing('one'), failing('two'), failing('three')], ...ticks, [1.01]], { ...POLICY, mostPerHour: 2 });
    expect(titles(said).at(-1)).toEqual(['1 notice was held back', 'main: three failed']);
  });
});

describe('a clock', () => {
  it('that was set back a year delays no reminder by a year', () => {
    const year = 365 * 24;
    expect(
      kinds(
        told([
          [year, failing()],
          [0, failing()],
          [24, failing()],
        ]),
      ),
    ).toEqual([['failure'], [], ['reminder']]);
  });

  it('that was set back holds nothing back for longer than an hour', () => {
    const story = [[1_000, failing('one'), failing('two')], [0, failing('three')], [1.01]] as const;
    expect(kinds(told(story, { ...POLICY, mostPerHour: 2 }))).toEqual([['failure', 'failure'], [], ['held-back', 'failure']]);
  });
});

describe('what no channel took', () => {
  it('is said again with the next report, unless it is older than a day', () => {
    const first = decideNotices([failing()], EMPTY_MEMORY, POLICY, at(0));
    const memory = rememberUndelivered(first.memory, first.notices);
    expect(decideNotices([], memory, POLICY, at(1)).notices).toEqual(first.notices);
    expect(decideNotices([], memory, POLICY, at(23)).memory.undelivered).toEqual([]);
    expect(kinds([decideNotices([], memory, POLICY, at(25)).notices])).toEqual([['reminder']]);
  });
});

describe('whatever happens', () => {
  const observation: fc.Arbitrary<Observation> = fc.record({
    cluster: fc.constantFrom('main', 'other'),
    topic: fc.constantFrom('run' as const, 'rpo' as const, 'drill' as const),
    subject: fc.constantFrom('a', 'b', 'c'),
    state: fc.constantFrom('failing' as const, 'well' as const),
    cause: fc.string(),
    next: fc.string(),
    code: fc.constantFrom('ONE', 'TWO'),
    isResult: fc.boolean(),
    runId: fc.constantFrom('r1', 'r2', 'r3'),
  });
  const report = fc.record({ minutesLater: fc.integer({ min: -90, max: 200 }), observations: fc.array(observation, { maxLength: 8 }) });

  it('there are never more notices within an hour than the cap, a recovery follows what was said, and one line is one line', () => {
    fc.assert(
      fc.property(fc.array(report, { maxLength: 60 }), fc.integer({ min: 2, max: 6 }), (story, mostPerHour) => {
        let memory: NoticeMemory = EMPTY_MEMORY;
        let minutes = 0;
        const open = new Set<string>();
        const recent: number[] = [];
        for (const { minutesLater, observations } of story) {
          minutes += Math.max(0, minutesLater);
          const { notices, memory: after } = decideNotices(
            observations,
            memory,
            { remindAfterSeconds: 3_600, mostPerHour },
            at(minutes / 60),
          );
          memory = after;
          for (const notice of notices) {
            recent.push(minutes);
            const subject = /: (.)/.exec(notice.title)?.[1] ?? '';
            const key = `${notice.cluster} ${notice.topic} ${subject}`;
            if (notice.kind === 'failure' || notice.kind === 'reminder') open.add(key);
            if (notice.kind === 'recovery') expect(open.delete(key)).toBe(true);
            expect(notice.title).not.toMatch(/[\n\r]/);
            expect(notice.next).not.toMatch(/[\n\r]/);
          }
          expect(recent.filter((one) => one > minutes - 60).length).toBeLessThanOrEqual(mostPerHour);
        }
      }),
    );
  });

  it('memory stays bounded', () => {
    let memory: NoticeMemory = EMPTY_MEMORY;
    for (let hour = 0; hour < 30; hour += 1) {
      const observations = Array.from({ length: 100 }, (_, index) => failing(`backup ${hour} ${index}`, `CODE_${index}`));
      const drills = Array.from({ length: 50 }, (_, index) => ({ ...well('drill'), isResult: true, runId: `${hour} ${index}` }));
      const decided = decideNotices([...observations, ...drills], memory, { ...POLICY, mostPerHour: 1_000 }, at(hour));
      memory = rememberUndelivered(decided.memory, decided.notices);
    }
    expect(memory.open.size).toBe(MEMORY_LIMITS.open);
    expect(memory.saidResults).toHaveLength(MEMORY_LIMITS.saidResults);
    expect(memory.undelivered).toHaveLength(MEMORY_LIMITS.undelivered);
    expect(memory.sentAt.length).toBeLessThanOrEqual(1_000);
  });
});

describe('a notice', () => {
  it.each([
    ['postgresql://backup:canary@db1/postgres does not answer', 'postgresql://backup:***@db1/postgres does not answer'],
    ['connect to postgresql://u:can@ary@db1:5432 failed', 'connect to postgresql://u:***@db1:5432 failed'],
    ['password=canary host=db1', 'password=*** host=db1'],
    ['{"secret": "canary ry", "x": 1}', '{"secret": ***, "x": 1}'],
    ['the token: canary', 'the token: ***'],
    ['a passphrase is missing', 'a passphrase is missing'],
  ])('has no password that a message should not have had: %j', (cause, expected) => {
    expect(told([[0, { ...failing(), cause }]])[0]?.[0]?.cause).toBe(expected);
  });

  it('is short, whatever a tool printed', () => {
    const [notice] = told([[0, { ...failing(), cause: 'ä\n'.repeat(5_000), next: 'x'.repeat(5_000) }]])[0] ?? [];
    expect([...(notice?.cause ?? '')].length).toBeLessThanOrEqual(1_500);
    expect(notice?.next.length).toBeLessThanOrEqual(300);
  });
});

describe('an observation', () => {
  const run = { cluster: 'main', job: 'backup daily', runId: 'r1' };

  it('of a failed run has the code, the message and the next command of its error', () => {
    const error = { code: 'DISK_FULL', message: 'no space', hint: 'Free space' };
    expect(observationsOfRun({ ...run, outcome: 'failed', error })).toEqual([
      {
        cluster: 'main',
        topic: 'run',
        subject: 'backup daily',
        state: 'failing',
        cause: 'no space',
        next: 'Free space',
        code: 'DISK_FULL',
        runId: 'r1',
      },
    ]);
  });

  it('of a run that succeeded ends its failure, and that it was missed', () => {
    const missed = observationOfMissedRuns({
      cluster: 'main',
      job: 'backup daily',
      due: START,
      count: 3,
      why: 'the daemon was not running',
    });
    const said = told([
      [0, missed],
      [1, ...observationsOfRun({ ...run, outcome: 'succeeded' })],
    ]);
    expect(titles(said)).toEqual([['main: backup daily was missed'], ['main: backup daily recovered after 1h00m']]);
    expect(said[0]?.[0]?.cause).toBe('3 runs, the newest due at 2026-11-22 21:16:28 UTC did not begin: the daemon was not running');
  });

  it('of a run that somebody cancelled says nothing', () => {
    expect(observationsOfRun({ ...run, outcome: 'cancelled' })).toEqual([]);
  });

  it('of the exposure is a breach only above the objective', () => {
    const exposure = { cluster: 'main', objectiveSeconds: 120 };
    const said = told([
      [0, observationOfExposure({ ...exposure, exposureSeconds: 120 })],
      [1, observationOfExposure({ ...exposure, exposureSeconds: 121 })],
      [2, observationOfExposure({ ...exposure, exposureSeconds: 3 })],
    ]);
    expect(titles(said)).toEqual([
      [],
      ['main: recovery point objective is breached'],
      ['main: recovery point objective recovered after 1h00m'],
    ]);
  });

  it('of a drill is said whether it passed or not', () => {
    const drill = { cluster: 'main', summary: 'restored in 4m05s, 12 checks' };
    const said = told([
      [0, observationOfDrill({ ...drill, runId: 'd1', passed: true })],
      [1, observationOfDrill({ ...drill, runId: 'd2', passed: false, summary: 'no rows', code: 'VERIFICATION_FAILED' })],
    ]);
    expect(titles(said)).toEqual([['main: restore drill: restored in 4m05s, 12 checks'], ['main: restore drill failed']]);
  });
});
