import { Temporal } from 'temporal-polyfill';

/** What a clock on the wall shows, read from the zone database for each minute by itself. */
interface Minute {
  readonly epochSecond: number;
  readonly date: string;
  readonly minuteOfDay: number;
  readonly day: number;
  readonly weekday: number;
  readonly offset: number;
}

/** A pattern as lists of numbers: what the fields of a cron expression say, without a parser. */
export interface Fields {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly daysOfMonth?: readonly number[];
  readonly daysOfWeek?: readonly number[];
}

export function expressionOf({ minutes, hours, daysOfMonth, daysOfWeek }: Fields): string {
  return `${minutes.join(',')} ${hours.join(',')} ${daysOfMonth?.join(',') ?? '*'} * ${daysOfWeek?.join(',') ?? '*'}`;
}

const memory = new Map<string, Map<number, Minute>>();

function minuteAt(epochSecond: number, zone: string): Minute {
  const minutes = memory.get(zone) ?? new Map<number, Minute>();
  memory.set(zone, minutes);
  const known = minutes.get(epochSecond);
  if (known !== undefined) return known;
  const zoned = Temporal.Instant.fromEpochMilliseconds(epochSecond * 1000).toZonedDateTimeISO(zone);
  const minute = {
    epochSecond,
    date: zoned.toPlainDate().toString(),
    minuteOfDay: zoned.hour * 60 + zoned.minute,
    day: zoned.day,
    weekday: zoned.dayOfWeek % 7,
    offset: zoned.offsetNanoseconds / 1e9,
  };
  minutes.set(epochSecond, minute);
  return minute;
}

/**
 * The seconds after `from` and up to `to` at which the pattern is due, found by going through every minute: where the clock
 * shows a minute of the pattern; for one of fixed times only the first time on each date; and where the clock has just been
 * put forward over such a minute.
 */
export function bruteForce(fields: Fields, zone: string, from: number, to: number): readonly number[] {
  const isEveryHour = new Set(fields.hours).size === 24;
  const seen = new Set<string>();
  const due: number[] = [];
  // Two days earlier, so that what was shown before `from` is known.
  for (let second = from - 172_800; second <= to; second += 60) {
    const now = minuteAt(second, zone);
    const before = minuteAt(second - 60, zone);
    const skipped = isEveryHour ? [] : skippedBetween(before, now);
    const shown = { ...now, isSkipped: false };
    const hits = [...skipped, shown].filter((minute) => matches(fields, minute)).filter((minute) => isFirst(minute, seen, isEveryHour));
    if (hits.length > 0 && second > from) due.push(second);
  }
  return due;
}

/** The minutes that a clock never showed, on a day of which it showed others. */
function skippedBetween(before: Minute, now: Minute): readonly Minute[] {
  const jumped = (now.offset - before.offset) / 60;
  const minutes: Minute[] = [];
  for (let ahead = 1; ahead <= jumped; ahead += 1) {
    const minuteOfDay = before.minuteOfDay + ahead;
    if (minuteOfDay < 1440) minutes.push({ ...before, minuteOfDay });
    else if (dayAfter(before.date) === now.date) minutes.push({ ...now, minuteOfDay: minuteOfDay - 1440 });
  }
  return minutes;
}

const dayAfter = (date: string) => Temporal.PlainDate.from(date).add({ days: 1 }).toString();

function matches({ minutes, hours, daysOfMonth, daysOfWeek }: Fields, minute: Minute): boolean {
  return (
    minutes.includes(minute.minuteOfDay % 60) &&
    hours.includes(Math.floor(minute.minuteOfDay / 60)) &&
    (daysOfMonth?.includes(minute.day) ?? true) &&
    (daysOfWeek?.includes(minute.weekday) ?? true)
  );
}

function isFirst(minute: Minute, seen: Set<string>, isEveryHour: boolean): boolean {
  if (isEveryHour) return true;
  const key = `${minute.date} ${minute.minuteOfDay}`;
  if (seen.has(key)) return false;
  seen.add(key);
  return true;
}
