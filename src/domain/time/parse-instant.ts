import { Temporal } from 'temporal-polyfill';
import { addMicros, formatAge, formatInstantLocal, formatInstantUtc, type Instant, instantOfMicros } from './instant.ts';

export interface ParseInstantOptions {
  /** The configured zone: used where the text names none. */
  readonly timeZone?: string;
  /** The zone of this host: used in suggestions only, never to read a text. */
  readonly hostTimeZone?: string;
  readonly now: Instant;
}

export type ParsedInstant =
  | {
      readonly kind: 'instant';
      readonly instant: Instant;
      /** How the text was understood, where it left that open: UTC, local time, age. */
      readonly interpretation?: string;
      /** True where the meaning depends on when the text was typed. */
      readonly needsConfirmation: boolean;
    }
  | RefusedInstant;

interface RefusedInstant {
  readonly kind: 'refused';
  readonly message: string;
  /** Texts that would be accepted. */
  readonly suggestions: readonly string[];
}

const EXAMPLES = ['2026-11-22 14:05:00+01', '2026-11-22T13:05:00Z', '2026-11-22 14:05:00 Europe/Paris', '15 minutes ago'];
const AGO = /^(?:-\s?(?<minus>\d{1,6})\s?(?<minusUnit>[a-z]+)|(?<count>\d{1,6})\s?(?<unit>[a-z]+) ago)$/i;
const DATE_TIME = new RegExp(
  String.raw`^(?<day>\d{4}-\d{2}-\d{2}|today|yesterday)(?:[T ](?<time>\d{2}:\d{2}(?::\d{2})?)(?:[.,](?<fraction>\d+))?)?` +
    String.raw`\s?(?<offset>Z|UTC|GMT|[+-]\d{2}(?::?\d{2}(?::?\d{2})?)?)?\s?(?:\[(?<bracketed>[A-Za-z0-9_+/-]+)\]|(?<named>[A-Za-z][A-Za-z0-9_+/-]*))?$`,
  'i',
);
/** 0001-01-01 00:00 UTC: before it dates would need BC. */
const FIRST_INSTANT = -62_135_596_800_000_000n;
const UNIT_SECONDS: ReadonlyMap<string, bigint> = new Map(
  [
    { seconds: 1n, names: ['s', 'sec', 'secs', 'second', 'seconds'] },
    { seconds: 60n, names: ['m', 'min', 'mins', 'minute', 'minutes'] },
    { seconds: 3600n, names: ['h', 'hour', 'hours'] },
    { seconds: 86_400n, names: ['d', 'day', 'days'] },
  ].flatMap(({ seconds, names }) => names.map((name) => [name, seconds] as const)),
);

/**
 * Reads an instant as an operator types it: ISO 8601 or PostgreSQL's form with an offset or a zone's name, a date and time
 * without one where a zone is configured, or a phrase (`now`, `15 minutes ago`, `-2h`, `yesterday 14:05`). A text that could
 * mean two instants, or none, is refused with those that it may mean: a recovery to the wrong hour loses data.
 */
export function parseInstant(text: string, options: ParseInstantOptions): ParsedInstant {
  const trimmed = text.trim().replace(/\s+/g, ' ');
  if (/^now$/i.test(trimmed)) return relative(options.now, options);
  const ago = AGO.exec(trimmed)?.groups;
  if (ago !== undefined) return parseAgo(trimmed, ago, options);
  const parts = DATE_TIME.exec(trimmed)?.groups;
  if (parts === undefined) return refused(`"${text}" is not an instant that could be understood`, EXAMPLES);
  return parseDateTime(trimmed, parts, options);
}

type Groups = Record<string, string | undefined>;

function parseAgo(text: string, groups: Groups, options: ParseInstantOptions): ParsedInstant {
  const unit = groups.minusUnit ?? groups.unit ?? '';
  const seconds = UNIT_SECONDS.get(unit.toLowerCase());
  if (seconds === undefined)
    return refused(`"${text}": "${unit}" is not a unit of time`, ['15 seconds ago', '15 minutes ago', '2 h ago', '-3d']);
  const count = BigInt(groups.minus ?? groups.count ?? '0');
  const instant = addMicros(options.now, -count * seconds * 1_000_000n);
  return instant < FIRST_INSTANT
    ? refused(`"${text}" is before the first year that PostgreSQL's ISO dates have`, [])
    : relative(instant, options);
}

function parseDateTime(text: string, groups: Groups, options: ParseInstantOptions): ParsedInstant {
  const { day = '', time, fraction = '', offset, bracketed, named } = groups;
  if (fraction.length > 6) return refused(`"${text}" has ${fraction.length} digits after the second; PostgreSQL keeps 6`, []);
  if (time === undefined) return refused(`"${text}" names a day but no time`, [`${day} 14:05:00${offset ?? ''}`]);
  const zone = bracketed ?? named;
  const zoneProblem = zone === undefined ? undefined : problemOfZone(zone);
  if (zoneProblem !== undefined) return refused(`"${text}": ${zoneProblem}`, []);
  const isRelative = !/^\d/.test(day);
  const dayZone = zone ?? (offset === undefined ? options.timeZone : zoneOfOffset(offset));
  if (dayZone === undefined) return refuseWithoutZone(text, day, time, fraction, options);
  const local = localTime(isRelative ? dayOf(day, dayZone, options.now) : day, time, fraction);
  if (local === undefined) return refused(`"${text}": there is no such day or time`, []);
  const found = offset === undefined ? inZone(text, local, dayZone) : atOffset(text, local, offset, zone);
  if (found.kind === 'refused') return found;
  if (isRelative) return relative(found.instant, { ...options, timeZone: dayZone });
  if (offset !== undefined || zone !== undefined) return found;
  return { ...found, interpretation: interpretationOf(found.instant, options) };
}

/** Undefined where the calendar or the clock has none such; a second of 60 and an hour of 24 are none. */
function localTime(day: string, time: string, fraction: string): Temporal.PlainDateTime | undefined {
  const seconds = time.length === 5 ? ':00' : '';
  if (day.startsWith('0000') || /:60$/.test(time)) return undefined;
  try {
    return Temporal.PlainDateTime.from(`${day}T${time}${seconds}.${fraction.padEnd(6, '0')}`, { overflow: 'reject' });
  } catch {
    return undefined;
  }
}

function inZone(text: string, local: Temporal.PlainDateTime, zone: string): ParsedInstant {
  const earlier = local.toZonedDateTime(zone, { disambiguation: 'earlier' });
  const later = local.toZonedDateTime(zone, { disambiguation: 'later' });
  if (earlier.epochNanoseconds === later.epochNanoseconds) return exactly(earlier.toInstant());
  const isRepeated = earlier.toPlainDateTime().equals(local);
  const why = isRepeated ? 'comes twice' : 'is skipped';
  return refused(`"${text}" ${why} in ${zone}, where the clock is put ${isRepeated ? 'back' : 'forward'}`, [
    withOffset(earlier),
    withOffset(later),
  ]);
}

function atOffset(text: string, local: Temporal.PlainDateTime, offset: string, zone: string | undefined): ParsedInstant {
  const seconds = offsetSeconds(offset);
  if (seconds === undefined) return refused(`"${text}": there is no offset of ${offset}`, []);
  const instant = local.toZonedDateTime('UTC').toInstant().subtract({ seconds });
  if (zone === undefined) return exactly(instant);
  const zoned = instant.toZonedDateTimeISO(zone);
  if (zoned.toPlainDateTime().equals(local)) return exactly(instant);
  return refused(`"${text}" contradicts itself: the offset ${offset} is not that of ${zone} then`, [
    withOffset(zoned),
    withOffset(local.toZonedDateTime(zone)),
  ]);
}

/** Seconds east of Greenwich; undefined beyond what PostgreSQL takes (under 16 hours). */
function offsetSeconds(offset: string): number | undefined {
  if (/^[A-Z]/i.test(offset)) return 0;
  const [, sign, hours = '0', minutes = '0', seconds = '0'] = /^([+-])(\d{2}):?(\d{2})?:?(\d{2})?$/.exec(offset) ?? [];
  if (Number(hours) > 15 || Number(minutes) > 59 || Number(seconds) > 59) return undefined;
  const total = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return sign === '-' ? -total : total;
}

/** For `today` and `yesterday`: the zone in which the day is meant. */
function zoneOfOffset(offset: string): string {
  if (/^[A-Z]/i.test(offset)) return 'UTC';
  const [, sign = '+', hours = '00', minutes = '00'] = /^([+-])(\d{2}):?(\d{2})?/.exec(offset) ?? [];
  return `${sign}${hours}:${minutes}`;
}

function dayOf(word: string, zone: string, now: Instant): string {
  const today = zonedAt(now, zone).toPlainDate();
  return (/^yesterday$/i.test(word) ? today.subtract({ days: 1 }) : today).toString();
}

/** Abbreviations are refused: IST and CST are three zones each, and CET says nothing of summer. */
function problemOfZone(zone: string): string | undefined {
  const isFullName = zone.includes('/') || /^(?:UTC|GMT)$/i.test(zone);
  if (!isFullName) return `"${zone}" does not tell an offset; name the zone in full (Europe/Paris) or give the offset (+01:00)`;
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(zone);
    return undefined;
  } catch {
    return `there is no time zone "${zone}"`;
  }
}

function refuseWithoutZone(text: string, day: string, time: string, fraction: string, options: ParseInstantOptions): RefusedInstant {
  const asUtc = `${day} ${time}${fraction === '' ? '' : `.${fraction}`}Z`;
  const host = options.hostTimeZone;
  const read = host === undefined ? undefined : parseInstant(text, { ...options, timeZone: host });
  const asHost = read?.kind === 'instant' && host !== undefined ? [withOffset(zonedAt(read.instant, host))] : [];
  return refused(`"${text}" names no offset and no time zone, and none is configured: it could mean a different instant in every zone`, [
    asUtc,
    ...asHost,
  ]);
}

function relative(instant: Instant, options: ParseInstantOptions): ParsedInstant {
  return { kind: 'instant', instant, interpretation: interpretationOf(instant, options), needsConfirmation: true };
}

function interpretationOf(instant: Instant, { timeZone, now }: ParseInstantOptions): string {
  const local = timeZone === undefined ? '' : `${formatInstantLocal(instant, timeZone)}, `;
  return `${formatInstantUtc(instant)} (${local}${formatAge(instant, now)})`;
}

function exactly(instant: Temporal.Instant): ParsedInstant & { kind: 'instant' } {
  return { kind: 'instant', instant: instantOfMicros(instant.epochNanoseconds / 1000n), needsConfirmation: false };
}

function zonedAt(instant: Instant, zone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochNanoseconds(instant * 1000n).toZonedDateTimeISO(zone);
}

function withOffset(zoned: Temporal.ZonedDateTime): string {
  return zoned.toString({ timeZoneName: 'never' }).replace('T', ' ');
}

function refused(message: string, suggestions: readonly string[]): RefusedInstant {
  return { kind: 'refused', message, suggestions };
}
