import { Temporal } from 'temporal-polyfill';

/** Where the clocks of a zone are put forward or back. Instants are seconds since the epoch, offsets seconds east of Greenwich. */
export interface Transition {
  readonly at: number;
  readonly before: number;
  readonly after: number;
}

/** The wall clock of a zone. A wall second is what the clock shows, counted as if it were UTC. */
export interface ZoneClock {
  offsetAt(second: number): number;
  /** The transition within a UTC day, counted from 1970-01-01. */
  transitionOn(day: number): Transition | undefined;
}

export const SECONDS_PER_DAY = 86_400;

const clocks = new Map<string, ZoneClock>();

/** The clock of an IANA zone. Throws RangeError for an unknown one. */
export function zoneClock(timeZone: string): ZoneClock {
  const known = clocks.get(timeZone);
  if (known !== undefined) return known;
  const made = makeZoneClock(timeZone);
  clocks.set(timeZone, made);
  return made;
}

/** Looks at the zone's offset once a day: no zone changes its clocks twice within one and ends where it began. */
function makeZoneClock(timeZone: string): ZoneClock {
  const read = (second: number) =>
    Temporal.Instant.fromEpochMilliseconds(second * 1000).toZonedDateTimeISO(timeZone).offsetNanoseconds / 1e9;
  read(0);
  const midnights = new Map<number, number>();
  const transitions = new Map<number, Transition | undefined>();
  const offsetAtMidnight = (day: number) => remembered(midnights, day, () => read(day * SECONDS_PER_DAY));
  const transitionOn = (day: number) =>
    remembered(transitions, day, () => {
      const [before, after] = [offsetAtMidnight(day), offsetAtMidnight(day + 1)];
      return before === after ? undefined : { at: firstSecondWithout(before, day, read), before, after };
    });
  return {
    transitionOn,
    offsetAt: (second) => {
      const day = Math.floor(second / SECONDS_PER_DAY);
      const transition = transitionOn(day);
      if (transition === undefined) return offsetAtMidnight(day);
      return second < transition.at ? transition.before : transition.after;
    },
  };
}

function remembered<Value>(values: Map<number, Value>, key: number, make: () => Value): Value {
  if (values.has(key)) return values.get(key) as Value;
  const value = make();
  values.set(key, value);
  return value;
}

/** By halving the day. */
function firstSecondWithout(offset: number, day: number, read: (second: number) => number): number {
  let low = day * SECONDS_PER_DAY;
  let high = low + SECONDS_PER_DAY;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (read(middle) === offset) low = middle;
    else high = middle;
  }
  return high;
}

/** What the clock of the zone shows then. */
export function wallSecondAt(clock: ZoneClock, second: number): number {
  return second + clock.offsetAt(second);
}

/**
 * When the clock shows that: once, twice where it is put back over it, never where it is put forward over it. Ascending.
 */
export function secondsShowing(clock: ZoneClock, wallSecond: number): readonly number[] {
  const offsets = new Set([clock.offsetAt(wallSecond - SECONDS_PER_DAY), clock.offsetAt(wallSecond + SECONDS_PER_DAY)]);
  return [...offsets]
    .map((offset) => wallSecond - offset)
    .filter((second) => wallSecondAt(clock, second) === wallSecond)
    .sort((a, b) => a - b);
}

/** Where the clock is put forward over what it should have shown; undefined where it is not. */
export function gapOver(clock: ZoneClock, wallSecond: number): Transition | undefined {
  const day = Math.floor(wallSecond / SECONDS_PER_DAY);
  return [day - 1, day, day + 1]
    .map((candidate) => clock.transitionOn(candidate))
    .find((found) => found !== undefined && wallSecond >= found.at + found.before && wallSecond < found.at + found.after);
}
