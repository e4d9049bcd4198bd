import fc from 'fast-check';
import { Temporal } from 'temporal-polyfill';
import { describe, expect, it } from 'vitest';
import type { RepositoryName } from '../../src/domain/catalog/base-backup.ts';
import type { ScheduleDecision } from '../../src/domain/schedule/decide.ts';
import type { DueRun } from '../../src/domain/schedule/due-run.ts';
import { withJitter } from '../../src/domain/schedule/jitter.ts';
import { lastOccurrence, nextOccurrence } from '../../src/domain/schedule/occurrences.ts';
import type { Schedule } from '../../src/domain/schedule/schedule.ts';
import { addMicros, type Instant, instantOfSeconds } from '../../src/domain/time/instant.ts';
import { blowWithin, DAY, HOUR, schedule, span } from './daemon-stories.ts';
import { type Blow, DaemonWorld } from './daemon-world.ts';
import { simulation } from './seeds.ts';

const START = Date.parse('2026-01-05T22:30:00Z') / 1000;
/** After that long without a blow everything that is owed has been done: the longest wait between attempts, and the work. */
const SETTLED = 8 * HOUR;

const LOCAL = 'local' as RepositoryName;
const S3 = 's3' as RepositoryName;

interface Story {
  /** True seconds. */
  readonly start: number;
  readonly days: number;
  readonly zone: string;
  readonly repositories: readonly RepositoryName[];
  /** Whether one backup goes into all of them. */
  readonly together: boolean;
  readonly jitterSeconds: number;
  readonly fullAt: string;
  readonly blows: readonly Blow[];
}

const storyOf = (start: number, days: number, mostBlows: number): fc.Arbitrary<Story> =>
  fc.record({
    start: fc.constant(start),
    days: fc.constant(days),
    zone: fc.constantFrom('America/New_York', 'Europe/Paris', 'Australia/Lord_Howe', 'Africa/Casablanca', 'Etc/UTC'),
    repositories: fc.constantFrom([LOCAL], [LOCAL], [LOCAL, S3]),
    together: fc.boolean(),
    jitterSeconds: fc.constantFrom(0, 0, 900),
    // In the hour that is skipped or comes twice in each of them, before it, and away from it.
    fullAt: fc.constantFrom('0 2', '30 2', '15 1', '45 1', '0 13'),
    // Early enough for what they leave behind to be done before the end.
    blows: fc
      .array(blowWithin(span(start, start + (days - 8) * DAY)), { maxLength: mostBlows })
      .map((blows) => blows.sort((a, b) => a.at - b.at)),
  });

function schedulesOf({ zone, repositories, jitterSeconds, fullAt }: Story): readonly Schedule[] {
  const common = { timezone: zone, repositories, jitterSeconds };
  return [
    schedule('daily-full', `${fullAt} * * *`, { ...common, type: 'full', expireAfterBackup: true }),
    schedule('incremental', '0 8,20 * * *', { ...common, type: 'incr' }),
    schedule('weekly-verify', '0 4 * * sun', { ...common, kind: 'verify' }),
  ];
}

/** The true seconds at which each day of the story begins where it plays, as the zone database has them. */
function startsOfDays({ zone, start, days }: Story): readonly number[] {
  const key = `${zone} ${start}`;
  const known = dayStarts.get(key);
  if (known !== undefined) return known;
  const first = Temporal.Instant.fromEpochMilliseconds(start * 1000)
    .toZonedDateTimeISO(zone)
    .toPlainDate();
  const starts = Array.from({ length: days + 2 }, (_, day) => first.add({ days: day }).toZonedDateTime(zone).epochMilliseconds / 1000);
  dayStarts.set(key, starts);
  return starts;
}
const dayStarts = new Map<string, readonly number[]>();

/** When the next run begins at the earliest: the daemon may be off by then. */
function strikesBy(at: number, blows: readonly Blow[]): number {
  const offs = blows.filter(({ kind }) => kind === 'off');
  return offs.reduce((by, off) => (off.at <= by + 2 * DAY ? Math.max(by, off.at + off.seconds) : by), at);
}

/** When nothing can be said of a day: while something befell the cluster, and for a while after; also what its clock showed then. */
function troubledSpans(blows: readonly Blow[]): readonly (readonly [from: number, to: number])[] {
  return blows.flatMap((one) => {
    const isRun = one.kind === 'slow' || one.kind === 'fault';
    // It strikes the next run, whenever that is, and what waits for it.
    const to = isRun ? strikesBy(one.at, blows) + one.seconds + 2 * DAY : one.at + one.seconds + SETTLED;
    const span = [one.at - DAY, to] as const;
    return one.kind === 'jump' ? [span, [span[0] + one.aheadSeconds, to + one.aheadSeconds] as const] : [span];
  });
}

const identitiesOf = ({ kind, trigger, repositories }: DueRun) =>
  trigger.kind === 'schedule' ? repositories.map((repository) => `${kind} ${trigger.name} ${trigger.occurrence} ${repository}`) : [];

/** What holds of each decision. */
function watch({ start, queued }: ScheduleDecision, world: DaemonWorld): void {
  const waiting = [...(start === undefined ? [] : [start]), ...queued];
  const places = waiting.flatMap(({ kind, trigger, repositories }) =>
    repositories.map((repository) => `${kind} ${trigger.kind === 'schedule' ? trigger.name : ''} ${repository}`),
  );
  if (new Set(places).size !== places.length) throw new Error(`runs pile up: ${places.join(', ')}`);
  if (start?.trigger.kind !== 'schedule' || start.kind === 'expire') return;
  const { name, occurrence } = start.trigger;
  const its = world.options.schedules.find((one) => one.name === name) as Schedule;
  const backups = start.type === 'incr' ? start.repositories.flatMap((repository) => world.backups.get(repository) ?? []) : [];
  const full = backups.find(({ type, startedAt }) => type === 'full' && startedAt >= occurrence && startedAt <= world.clock());
  if (full !== undefined) throw new Error(`${name} runs for ${occurrence}, though ${full.runId} has taken a full backup since`);
  const next = nextOccurrence(its, occurrence);
  const isNewest = next === undefined || withJitter('main', name, next, its.jitterSeconds) > world.clock();
  if (!isNewest || occurrence > world.clock()) throw new Error(`${name} runs for ${occurrence}, which is not its newest occurrence`);
}

/** Whatever happened before, nothing is owed after a while of peace. */
function expectNothingOwed(world: DaemonWorld, told: Story): void {
  // Runs from when the clock was ahead may have become the past since the daemon looked last.
  world.liveUntil(world.now + 0.5 * HOUR);
  const { start, queued, held } = world.decide();
  expect([start, ...queued, ...held.map(({ run }) => run)].filter((run) => run !== undefined)).toEqual([]);
  const [full] = world.options.schedules as [Schedule];
  const due = lastOccurrence(full, addMicros(world.clock(), BigInt(-3 * HOUR) * 1_000_000n), instantOfSeconds(told.start)) as Instant;
  for (const repository of told.repositories) {
    const backups = world.backups.get(repository) ?? [];
    expect(backups.some(({ type, startedAt }) => type === 'full' && startedAt >= due)).toBe(true);
    expect(backups.at(-1)?.timeline).toBe(world.timeline);
  }
}

function play(told: Story): void {
  const world = new DaemonWorld({
    schedules: schedulesOf(told),
    repositories: told.repositories,
    ...(told.together
      ? { engines: new Map(told.repositories.map((name) => [name, { together: 'native', needsFullOnNewTimeline: true }])) }
      : {}),
    start: told.start,
    blows: told.blows,
    watch,
  });
  world.liveUntil(told.start + told.days * DAY);

  const identities = world.begun.flatMap(({ due }) => identitiesOf(due));
  expect(new Set(identities).size).toBe(identities.length);
  expectNothingOwed(world, told);

  const troubled = troubledSpans(told.blows);
  const starts = startsOfDays(told);
  for (const repository of told.repositories) {
    const fulls = (world.backups.get(repository) ?? []).filter(({ type }) => type === 'full').map(({ trueStart }) => trueStart);
    const counts = new Array<number>(starts.length).fill(0);
    let day = 0;
    for (const second of fulls.sort((a, b) => a - b)) {
      while (second >= (starts[day + 1] ?? Infinity)) day += 1;
      counts[day] = (counts[day] ?? 0) + 1;
    }
    for (let index = 1; index < told.days - 1; index += 1) {
      const [from = 0, to = 0] = [starts[index], starts[index + 1]];
      if (troubled.some((span) => span[0] < to && span[1] > from)) continue;
      if (counts[index] !== 1)
        throw new Error(`${counts[index]} full backups in ${repository} on the day from ${new Date(from * 1000).toISOString()}`);
    }
  }
}

/** Two weeks before the clocks of one of the zones are changed: each begins and ends at an hour at which nothing is due in any. */
const BEFORE_CHANGES = ['2026-02-22', '2026-03-15', '2026-03-22', '2026-09-20', '2026-10-11', '2026-10-18'].map(
  (day) => Date.parse(`${day}T22:30:00Z`) / 1000,
);

describe('a daemon', () => {
  it('takes exactly one full backup each local day of 400, runs nothing twice, piles nothing up and owes nothing in the end', () => {
    fc.assert(fc.property(storyOf(START, 400, 25), play), simulation(40));
  });

  it('does so while clocks are changed', () => {
    const story = fc.constantFrom(...BEFORE_CHANGES).chain((start) => storyOf(start, 30, 6));
    fc.assert(fc.property(story, play), simulation(500));
  });
});
