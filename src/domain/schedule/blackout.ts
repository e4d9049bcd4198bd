import { weekdayOf } from '../time/calendar.ts';
import { type Instant, instantOfSeconds } from '../time/instant.ts';
import { gapOver, SECONDS_PER_DAY, secondsShowing, wallSecondAt, type ZoneClock, zoneClock } from './zone-clock.ts';

/** A time of each week, by the wall clock, in which nothing begins. */
export interface Blackout {
  /** Seconds of the day, from with `from` to without `to`; up to and with 86400. Where `to` comes first, it ends on the next day. */
  readonly from: number;
  readonly to: number;
  /** Days on which it begins; 0 is Sunday. */
  readonly daysOfWeek: ReadonlySet<number>;
}

const SECONDS_PER_WEEK = 7 * SECONDS_PER_DAY;

/** The first instant from `now` on that is in none of them; `now` where it is in none. Undefined where they leave nothing free. */
export function endOfBlackouts(blackouts: readonly Blackout[], timezone: string, now: Instant): Instant | undefined {
  if (blackouts.length === 0) return now;
  if (isAlwaysBlackout(blackouts)) return undefined;
  const clock = zoneClock(timezone);
  const start = Math.floor(Number(now) / 1e6);
  let second = start;
  for (;;) {
    const end = endOfBlackoutAt(blackouts, wallSecondAt(clock, second));
    if (end === undefined) return second === start ? now : instantOfSeconds(second);
    second = secondShowingNext(clock, end, second);
  }
}

/** Whether they leave no second of the week free. */
export function isAlwaysBlackout(blackouts: readonly Blackout[]): boolean {
  let free = 0;
  // Each end at which nothing else is in force is where something is free; so it is enough to follow the ends for two weeks.
  while (free < 2 * SECONDS_PER_WEEK) {
    const end = endOfBlackoutAt(blackouts, free);
    if (end === undefined) return false;
    free = end;
  }
  return true;
}

/** Where on the wall clock the blackout ends that is in force then. */
function endOfBlackoutAt(blackouts: readonly Blackout[], wallSecond: number): number | undefined {
  const day = Math.floor(wallSecond / SECONDS_PER_DAY);
  for (const { from, to, daysOfWeek } of blackouts) {
    for (const begin of [day - 1, day]) {
      if (!daysOfWeek.has(weekdayOf(begin))) continue;
      const end = (to <= from ? begin + 1 : begin) * SECONDS_PER_DAY + to;
      if (wallSecond >= begin * SECONDS_PER_DAY + from && wallSecond < end) return end;
    }
  }
  return undefined;
}

/** The first second after `after` at which the clock shows that, or has just been put forward over it. */
function secondShowingNext(clock: ZoneClock, wallSecond: number, after: number): number {
  const showing = secondsShowing(clock, wallSecond).find((second) => second > after);
  return showing ?? gapOver(clock, wallSecond)?.at ?? after + 60;
}
