import { type Instant, instantOfSeconds } from '../time/instant.ts';
import { type CronPattern, isDueOnDay } from './cron-pattern.ts';
import { gapOver, SECONDS_PER_DAY, secondsShowing, wallSecondAt, type ZoneClock, zoneClock } from './zone-clock.ts';

/** When a pattern is due in a zone. */
export interface Recurrence {
  readonly pattern: CronPattern;
  /** IANA name. */
  readonly timezone: string;
}

/** From 29 February 1896 to the next it took eight years. */
const MOST_DAYS_BETWEEN = 9 * 366;

/**
 * The next `count` instants after `from` at which the pattern is due, ascending. A fixed time of day is due once each local
 * day: where the clock is put forward over it, at the first instant after; where it comes twice, the first time. A pattern that
 * is due in every hour is due whenever the clock shows it. Throws RangeError for an unknown zone.
 */
export function nextOccurrences(recurrence: Recurrence, from: Instant, count: number): readonly Instant[] {
  const found: Instant[] = [];
  for (let after = from; found.length < count; ) {
    const next = nextOccurrence(recurrence, after);
    if (next === undefined) break;
    found.push(next);
    after = next;
  }
  return found;
}

/** The first instant after `from` at which it is due; undefined where there is none within nine years. */
export function nextOccurrence(recurrence: Recurrence, from: Instant): Instant | undefined {
  const second = nextDueSecond(recurrence, floorSecond(from));
  return second === undefined ? undefined : instantOfSeconds(second);
}

/** The last instant up to and with `upTo` and after `after` at which it was due. */
export function lastOccurrence(recurrence: Recurrence, upTo: Instant, after: Instant): Instant | undefined {
  const second = lastDueSecond(recurrence, floorSecond(upTo), floorSecond(after));
  return second === undefined ? undefined : instantOfSeconds(second);
}

function nextDueSecond({ pattern, timezone }: Recurrence, after: number): number | undefined {
  const clock = zoneClock(timezone);
  const today = localDay(clock, after);
  for (let day = today - 1; day <= today + MOST_DAYS_BETWEEN; day += 1) {
    const due = dueOnDay(pattern, clock, day, (second) => second > after).first;
    if (due === undefined) continue;
    if (steadyOffset(clock, day) !== undefined) return due;
    // Where the clock is put back over midnight, a day begins before the one before it has ended.
    const early = dueOnDay(pattern, clock, day + 1, (second) => second > after).first;
    return Math.min(due, early ?? due);
  }
  return undefined;
}

function lastDueSecond({ pattern, timezone }: Recurrence, upTo: number, after: number): number | undefined {
  const clock = zoneClock(timezone);
  const today = localDay(clock, upTo);
  const oldest = Math.max(localDay(clock, after) - 1, today - MOST_DAYS_BETWEEN);
  for (let day = today + 1; day >= oldest; day -= 1) {
    const due = dueOnDay(pattern, clock, day, (second) => second <= upTo).last;
    if (due === undefined) continue;
    if (steadyOffset(clock, day) !== undefined) return due > after ? due : undefined;
    const late = dueOnDay(pattern, clock, day - 1, (second) => second <= upTo).last;
    const last = Math.max(due, late ?? due);
    return last > after ? last : undefined;
  }
  return undefined;
}

interface Ends {
  readonly first: number | undefined;
  readonly last: number | undefined;
}

const NONE: Ends = { first: undefined, last: undefined };

/** The first and the last second of what a local day is due at, of those that `isWanted`, which is a prefix or a suffix of them. */
function dueOnDay(pattern: CronPattern, clock: ZoneClock, day: number, isWanted: (second: number) => boolean): Ends {
  if (!isDueOnDay(pattern, day)) return NONE;
  const offset = steadyOffset(clock, day);
  if (offset === undefined) return endsOf(secondsOfUnsteadyDay(pattern, clock, day).filter(isWanted));
  const start = day * SECONDS_PER_DAY - offset;
  const { times } = pattern;
  const wants = (index: number) => isWanted(start + (times[index] ?? 0));
  if (!wants(0) && !wants(times.length - 1)) return NONE;
  const first = wants(0) ? 0 : boundary(times.length, (index) => wants(index));
  const last = wants(times.length - 1) ? times.length - 1 : boundary(times.length, (index) => !wants(index)) - 1;
  return { first: start + (times[first] ?? 0), last: start + (times[last] ?? 0) };
}

/** The first index for which it holds, of those up to `length`; it holds for all after it. */
function boundary(length: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The offset of the zone on that local day; undefined where it changes then or just before or after. */
function steadyOffset(clock: ZoneClock, day: number): number | undefined {
  const isSteady = [day - 1, day, day + 1].every((candidate) => clock.transitionOn(candidate) === undefined);
  return isSteady ? clock.offsetAt(day * SECONDS_PER_DAY) : undefined;
}

function secondsOfUnsteadyDay(pattern: CronPattern, clock: ZoneClock, day: number): readonly number[] {
  const seconds = pattern.times.flatMap((time) => {
    const wallSecond = day * SECONDS_PER_DAY + time;
    const showing = secondsShowing(clock, wallSecond);
    if (pattern.isEveryHour) return showing;
    return showing[0] ?? afterGap(clock, wallSecond, day) ?? [];
  });
  return [...new Set(seconds)].sort((a, b) => a - b);
}

/** A day that is skipped as a whole (the Pacific has had some) is none on which anything is due. */
function afterGap(clock: ZoneClock, wallSecond: number, day: number): number | undefined {
  const gap = gapOver(clock, wallSecond);
  if (gap === undefined) return undefined;
  const daysAround = [gap.at - 1 + gap.before, gap.at + gap.after].map((second) => Math.floor(second / SECONDS_PER_DAY));
  return daysAround.includes(day) ? gap.at : undefined;
}

function endsOf(seconds: readonly number[]): Ends {
  return { first: seconds[0], last: seconds.at(-1) };
}

function localDay(clock: ZoneClock, second: number): number {
  return Math.floor(wallSecondAt(clock, second) / SECONDS_PER_DAY);
}

/** Rounded towards the past. */
function floorSecond(instant: Instant): number {
  const second = instant / 1_000_000n;
  return Number(instant % 1_000_000n < 0n ? second - 1n : second);
}
