import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RepositoryName } from '../../src/domain/catalog/base-backup.ts';
import type { Schedule } from '../../src/domain/schedule/schedule.ts';
import { blowWithin, DAY, HOUR, schedule, span } from './daemon-stories.ts';
import { type Blow, DaemonWorld } from './daemon-world.ts';
import { RetentionKeeper, type ServerClock } from './retention-keeper.ts';
import { simulation } from './seeds.ts';

const START = Date.parse('2026-01-05T22:30:00Z') / 1000;
const LOCAL = 'local' as RepositoryName;
const S3 = 's3' as RepositoryName;
const daysOf = (repository: RepositoryName) => (repository === S3 ? 30 : 7);

interface Story {
  readonly days: number;
  readonly repositories: readonly RepositoryName[];
  readonly clock: ServerClock;
  readonly isIncremental: boolean;
  /** Somebody also lets go of what may go each day at that hour. Absent: only the daemon does, after good backups. */
  readonly expiresAt?: number | undefined;
  readonly blows: readonly Blow[];
}

const storyOf = (days: number, repositories: readonly RepositoryName[], blows: fc.Arbitrary<readonly Blow[]>): fc.Arbitrary<Story> =>
  fc.record({
    days: fc.constant(days),
    repositories: fc.constant(repositories),
    clock: fc.constantFrom('right', 'of the machine'),
    isIncremental: fc.boolean(),
    expiresAt: fc.option(span(0, 23), { nil: undefined }),
    blows: blows.map((some) => some.toSorted((a, b) => a.at - b.at)),
  });

const within = (days: number) => span(START, START + days * DAY);

/** Backups that fail for a long time, and clocks that are wrong while a backup is taken, beside all the rest. */
const anyBlows = (days: number): fc.Arbitrary<readonly Blow[]> => {
  const at = within(days);
  const barren = fc.record({ kind: fc.constant('barren' as const), at, seconds: span(DAY, 40 * DAY) });
  const night = span(0, days - 1).chain((day) => span(0, 4 * HOUR).map((second) => START + day * DAY + 2 * HOUR + second));
  const jump = fc.record({
    kind: fc.constant('jump' as const),
    at: night,
    seconds: span(60, 2 * DAY),
    aheadSeconds: span(-3 * DAY, 5 * DAY),
  });
  const one = fc.oneof({ weight: 5, arbitrary: blowWithin(at) }, { weight: 1, arbitrary: barren }, { weight: 2, arbitrary: jump });
  return fc.array(one, { maxLength: 8 });
};

/** What delays a backup by hours at most. */
const calmBlows = (days: number): fc.Arbitrary<readonly Blow[]> => {
  const at = within(days);
  return fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('off' as const), at, seconds: span(1, 2 * HOUR), isTaken: fc.boolean() }),
      fc.record({ kind: fc.constant('failover' as const), at, seconds: fc.constant(0 as const) }),
      fc.record({ kind: fc.constant('fault' as const), at, seconds: fc.constant(0 as const), retry: fc.constant('transient' as const) }),
    ),
    { maxLength: 6 },
  );
};

function schedulesOf({ repositories, isIncremental }: Story): readonly Schedule[] {
  const common = { timezone: 'Etc/UTC', repositories };
  const full = schedule('daily-full', '0 2 * * *', { ...common, type: 'full', expireAfterBackup: true });
  return isIncremental ? [full, schedule('incremental', '0 14 * * *', { ...common, type: 'incr' })] : [full];
}

/** Tells the story; everything that is expired on the way is looked at. */
function play(told: Story): { readonly world: DaemonWorld; readonly keeper: RetentionKeeper } {
  const keeper = new RetentionKeeper(daysOf, told.clock);
  const world = new DaemonWorld({
    schedules: schedulesOf(told),
    repositories: told.repositories,
    start: START,
    blows: told.blows,
    refusesEarlier: told.clock === 'of the machine',
    expire: (repository, where) => keeper.expire(repository, where),
  });
  const end = START + told.days * DAY;
  for (let at = START + (told.expiresAt ?? Infinity) * HOUR; at < end; at += DAY) {
    world.liveUntil(at);
    for (const repository of told.repositories) if (!world.isDown(repository)) keeper.expire(repository, world);
  }
  world.liveUntil(end);
  for (const repository of told.repositories) keeper.expectRecoverable(repository, world);
  return { world, keeper };
}

const fullsIn = (world: DaemonWorld, repository: RepositoryName) =>
  (world.backups.get(repository) ?? []).filter(({ type }) => type === 'full').length;

describe('what a daemon expires, whatever befalls the cluster', () => {
  it('leaves every instant of the last 7 days recoverable, and the newest full backup with all that needs it', () => {
    fc.assert(
      fc.property(storyOf(25, [LOCAL], anyBlows(25)), (told) => void play(told)),
      simulation(500),
    );
  });

  it('leaves every instant of the last 30 days recoverable, with another repository of 7', () => {
    fc.assert(
      fc.property(storyOf(60, [LOCAL, S3], anyBlows(60)), (told) => void play(told)),
      simulation(160),
    );
  });

  it('is nothing in 30 days in which every backup fails', () => {
    const barren = span(START + 15 * DAY, START + 25 * DAY).map((at) => ({ kind: 'barren' as const, at, seconds: 30 * DAY }));
    const story = barren.chain((one) => storyOf(60, [LOCAL, S3], fc.constant([one])).map((told) => ({ told, one })));
    fc.assert(
      fc.property(story, ({ told, one }) => {
        const upTo = (at: number) => play({ ...told, days: (at - START) / DAY }).world.backups;
        // By then the first backup has failed.
        const [before, after] = [upTo(one.at + DAY + HOUR), upTo(one.at + one.seconds)];
        for (const repository of told.repositories) expect(after.get(repository)).toEqual(before.get(repository));
      }),
      simulation(20),
    );
  });

  it('is all that is not needed, where nothing much befalls it', () => {
    fc.assert(
      fc.property(storyOf(60, [LOCAL, S3], calmBlows(58)), (told) => {
        const { world } = play(told);
        for (const repository of told.repositories) {
          expect(fullsIn(world, repository)).toBeLessThanOrEqual(daysOf(repository) + 2);
          expect(fullsIn(world, repository)).toBeGreaterThan(daysOf(repository));
        }
      }),
      simulation(60),
    );
  });

  it('is something in most stories, or the rest would say little', () => {
    const stories = fc.sample(storyOf(25, [LOCAL], anyBlows(25)), simulation(60));
    expect(stories.filter((told) => play(told).keeper.expired > 0).length).toBeGreaterThan(stories.length / 2);
  });
});
