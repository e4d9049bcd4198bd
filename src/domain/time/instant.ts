import { civilDateOf } from './calendar.ts';

/**
 * A point in time as microseconds since the Unix epoch, UTC: PostgreSQL's resolution.
 * `Date` would truncate to milliseconds.
 */
export type Instant = bigint & { readonly __brand: 'Instant' };

const MICROS_PER_SECOND = 1_000_000n;

/** Makes an instant of microseconds since the epoch. */
export function instantOfMicros(micros: bigint): Instant {
  return micros as Instant;
}

/** Makes an instant of whole seconds since the epoch (pgBackRest's resolution). */
export function instantOfSeconds(seconds: number | bigint): Instant {
  return (BigInt(seconds) * MICROS_PER_SECOND) as Instant;
}

/** Makes an instant of milliseconds since the epoch (what `Date` holds). */
export function instantOfMillis(millis: number): Instant {
  return (BigInt(Math.trunc(millis)) * 1000n) as Instant;
}

/** The instant moved by a number of microseconds, which may be negative. */
export function addMicros(instant: Instant, micros: bigint): Instant {
  return (instant + micros) as Instant;
}

/**
 * The last microsecond of an instant's second. Repositories note in whole seconds, cut off, when a segment came: one that is
 * noted for 14:05:00 may hold commits of 14:05:00.9.
 */
export function endOfSecond(instant: Instant): Instant {
  const micros = ((instant % MICROS_PER_SECOND) + MICROS_PER_SECOND) % MICROS_PER_SECOND;
  return (instant - micros + MICROS_PER_SECOND - 1n) as Instant;
}

/** Seconds from `earlier` to `later`, with the fraction; negative where they are the other way round. */
export function secondsBetween(earlier: Instant, later: Instant): number {
  return Number(later - earlier) / 1e6;
}

/** Milliseconds since the epoch, rounded towards the past. */
export function toEpochMillis(instant: Instant): number {
  const micros = instant as bigint;
  const millis = micros / 1000n;
  return Number(micros % 1000n < 0n ? millis - 1n : millis);
}

/** How many digits of a second are printed: all six where any is not zero (`auto`), never, or always. */
export type FractionDigits = 'auto' | 'none' | 'micros';

/** `2026-11-22 14:05:00.123456 UTC`, for people. */
export function formatInstantUtc(instant: Instant, options: { readonly fraction?: FractionDigits } = {}): string {
  return `${dateAndTime(instant, ' ', options.fraction ?? 'auto')} UTC`;
}

/** `2026-11-22T14:05:00.123456Z`, for machines: always six digits, so that text sorts as time does. */
export function formatInstantIso(instant: Instant): string {
  return `${dateAndTime(instant, 'T', 'micros')}Z`;
}

/** `2026-11-22 14:05:00.123456+00`, as PostgreSQL reads it whatever its time zone is. */
export function formatForPostgres(instant: Instant): string {
  return `${dateAndTime(instant, ' ', 'micros')}+00`;
}

/** `2026-11-22 15:05:00 CET`: the wall clock of a time zone, whole seconds. Throws RangeError for an unknown zone. */
export function formatInstantLocal(instant: Instant, timeZone: string): string {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'short',
  });
  const parts = Object.fromEntries(format.formatToParts(toEpochMillis(instant)).map((part) => [part.type, part.value]));
  return `${parts.year}-${parts.month}-${parts.day} ${parts.hour}:${parts.minute}:${parts.second} ${parts.timeZoneName}`;
}

const POSTGRES_TIMESTAMP =
  /^(\d{4,6}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?(?:([+-])(\d{2})(?::?(\d{2}))?(?::?(\d{2}))?| (?:UTC|GMT))$/;

/**
 * Reads a timestamptz as PostgreSQL prints it: `2026-11-22 14:05:00.123456+00`, also with ` UTC` in place of the offset.
 * Throws RangeError on anything else, other zone abbreviations included: they do not tell an offset.
 */
export function parsePostgresTimestamp(text: string): Instant {
  const match = POSTGRES_TIMESTAMP.exec(text.trim());
  const [, date, time, fraction = '', sign, hours = '0', minutes = '0', seconds = '0'] = match ?? [];
  if (date === undefined || time === undefined) throw new RangeError(`not a PostgreSQL timestamp with an offset: "${text}"`);
  const wholeSeconds = epochSecondsOf(date, time);
  if (wholeSeconds === undefined) throw new RangeError(`no such date or time: "${text}"`);
  const offsetSeconds = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  const utcSeconds = wholeSeconds - (sign === '-' ? -offsetSeconds : offsetSeconds);
  return addMicros(instantOfSeconds(utcSeconds), BigInt(fraction.padEnd(6, '0')));
}

/** How long ago, or how far ahead, in one unit, rounded down: `12 s ago`, `3 m ago`, `in 2 h`, `in 40 d`. */
export function formatAge(instant: Instant, now: Instant): string {
  const micros = now - instant;
  const seconds = (micros < 0n ? -micros : micros) / MICROS_PER_SECOND;
  const age = formatOneUnit(seconds);
  return micros < 0n ? `in ${age}` : `${age} ago`;
}

function formatOneUnit(seconds: bigint): string {
  if (seconds < 60n) return `${seconds} s`;
  if (seconds < 3600n) return `${seconds / 60n} m`;
  if (seconds < 172_800n) return `${seconds / 3600n} h`;
  return `${seconds / 86_400n} d`;
}

function dateAndTime(instant: Instant, separator: string, fraction: FractionDigits): string {
  const secondOfDay = Number(remainder(instant, MICROS_PER_DAY) / MICROS_PER_SECOND);
  const micros = remainder(instant, MICROS_PER_SECOND);
  const digits = fraction === 'none' || (fraction === 'auto' && micros === 0n) ? '' : `.${String(micros).padStart(6, '0')}`;
  const time = [Math.trunc(secondOfDay / 3600), Math.trunc(secondOfDay / 60) % 60, secondOfDay % 60].map(twoDigits).join(':');
  return `${dateOfDay(Number((instant - remainder(instant, MICROS_PER_DAY)) / MICROS_PER_DAY))}${separator}${time}${digits}`;
}

/** `2026-11-22` */
function dateOfDay(dayOfEpoch: number): string {
  const { year, month, day } = civilDateOf(dayOfEpoch);
  return `${String(year).padStart(4, '0')}-${twoDigits(month)}-${twoDigits(day)}`;
}

const MICROS_PER_DAY = 86_400n * MICROS_PER_SECOND;

const twoDigits = (value: number) => String(value).padStart(2, '0');

/** The remainder that is never negative. */
const remainder = (value: bigint, divisor: bigint) => ((value % divisor) + divisor) % divisor;

/** Seconds since the epoch of a date and time in UTC; undefined where the calendar or the clock has none such. */
function epochSecondsOf(date: string, time: string): number | undefined {
  const [year = 0, month = 0, day = 0] = date.split('-').map(Number);
  const [hour = 0, minute = 0, second = 0] = time.split(':').map(Number);
  const value = new Date(0);
  value.setUTCFullYear(year, month - 1, day);
  value.setUTCHours(hour, minute, second, 0);
  const isReal = value.getUTCMonth() === month - 1 && value.getUTCDate() === day && hour < 24 && minute < 60 && second < 60;
  return isReal ? value.getTime() / 1000 : undefined;
}
