import fc from 'fast-check';
import { createTask } from 'node-cron';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseCronPattern } from '../../../../src/domain/schedule/cron-pattern.ts';
import { lastOccurrence, nextOccurrences, type Recurrence } from '../../../../src/domain/schedule/occurrences.ts';
import { type Instant, instantOfSeconds } from '../../../../src/domain/time/instant.ts';
import { bruteForce, expressionOf, type Fields } from './brute-force.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** Around a change of the clock in each, and around none. */
const SCENES = [
  ['America/New_York', '2026-03-08T07:00:00Z'],
  ['America/New_York', '2026-11-01T06:00:00Z'],
  ['Europe/Paris', '2026-03-29T01:00:00Z'],
  ['Europe/Paris', '2026-10-25T01:00:00Z'],
  // Half an hour.
  ['Australia/Lord_Howe', '2026-04-04T15:00:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T15:30:00Z'],
  // Put back in Ramadan.
  ['Africa/Casablanca', '2026-02-15T02:00:00Z'],
  ['Africa/Casablanca', '2026-03-22T02:00:00Z'],
  ['Asia/Kathmandu', '2026-06-01T00:00:00Z'],
  // Over midnight: the last hour of a day is skipped, or comes twice.
  ['America/Nuuk', '2026-03-29T01:00:00Z'],
  ['America/Nuuk', '2026-10-25T01:00:00Z'],
  // The first hour of a day is skipped.
  ['Asia/Beirut', '2026-03-28T22:00:00Z'],
  // A minute after midnight the clock went back to the day before.
  ['America/St_Johns', '2010-11-07T02:31:00Z'],
  // There was no 30 December 2011.
  ['Pacific/Apia', '2011-12-30T10:00:00Z'],
] as const;

const someOf = (most: number) => fc.uniqueArray(fc.nat(most), { minLength: 1, maxLength: 5 });
const everyHour = fc.constant(Array.from({ length: 24 }, (_, hour) => hour));

const fields: fc.Arbitrary<Fields> = fc
  .record({
    minutes: fc.oneof(fc.constant([0]), fc.constant([0, 15, 30, 45]), someOf(59)),
    hours: fc.oneof(everyHour, fc.constant([2]), fc.constant([0, 1, 2, 3, 23]), fc.constant([0, 6, 12, 18]), someOf(23)),
    days: fc.oneof(
      { weight: 4, arbitrary: fc.constant({}) },
      { arbitrary: someOf(6).map((daysOfWeek) => ({ daysOfWeek })), weight: 1 },
      {
        arbitrary: someOf(30).map((some) => ({ daysOfMonth: some.map((day) => day + 1) })),
        weight: 1,
      },
    ),
  })
  .map(({ minutes, hours, days }) => ({ minutes, hours, ...days }));

function recurrenceOf(expression: string, timezone: string): Recurrence {
  const parsed = parseCronPattern(expression);
  if (parsed.kind === 'refused') throw new Error(parsed.fault);
  return { pattern: parsed.pattern, timezone };
}

const seconds = (instants: readonly Instant[]) => instants.map((instant) => Number(instant / 1_000_000n));
const secondOf = (text: string) => Date.parse(text) / 1000;

describe('what a pattern is due at', () => {
  it.each(SCENES)('in %s around %s is what going through every minute finds', (zone, change) => {
    const start = secondOf(change) - 1.5 * 86_400;
    const end = secondOf(change) + 1.5 * 86_400;
    fc.assert(
      fc.property(fields, fc.integer({ min: 0, max: 1440 }), (pattern, minutes) => {
        const from = start + minutes * 60;
        const expected = bruteForce(pattern, zone, from, end);
        const recurrence = recurrenceOf(expressionOf(pattern), zone);
        const found = seconds(nextOccurrences(recurrence, instantOfSeconds(from), expected.length + 1));
        expect(found.slice(0, expected.length)).toEqual(expected);
        expect(found[expected.length] ?? Infinity).toBeGreaterThan(end);
      }),
      { numRuns: 25 },
    );
  });

  it.each(SCENES)('in %s around %s is found backwards as it is forwards', (zone, change) => {
    fc.assert(
      fc.property(fields, fc.integer({ min: -2880, max: 2880 }), fc.integer({ min: 1, max: 4320 }), (pattern, minutes, length) => {
        const from = instantOfSeconds(secondOf(change) + minutes * 60);
        const to = instantOfSeconds(secondOf(change) + (minutes + length) * 60 + 7);
        const recurrence = recurrenceOf(expressionOf(pattern), zone);
        const all = nextOccurrences(recurrence, from, 400).filter((instant) => instant <= to);
        expect(lastOccurrence(recurrence, to, from)).toBe(all.at(-1));
      }),
      { numRuns: 25 },
    );
  });

  it('is what node-cron says, where no clock is changed', () => {
    vi.useFakeTimers();
    fc.assert(
      fc.property(
        fields,
        fc.constantFrom('Etc/UTC', 'Asia/Kathmandu', 'Europe/Paris', 'Asia/Tokyo'),
        fc.nat(86_400),
        (pattern, zone, later) => {
          // In the two months from June on no clock of these is changed.
          const from = secondOf('2026-06-10T00:00:00Z') + later;
          vi.setSystemTime(from * 1000);
          const task = createTask(expressionOf(pattern), () => undefined, { timezone: zone });
          const theirs = task.getNextRuns(3).map((date) => date.getTime() / 1000);
          void task.destroy();
          const within = (all: readonly number[]) => all.filter((second) => second < from + 60 * 86_400);
          const ours = seconds(nextOccurrences(recurrenceOf(expressionOf(pattern), zone), instantOfSeconds(from), 3));
          expect(within(ours)).toEqual(within(theirs));
        },
      ),
      { numRuns: 200 },
    );
  });
});
