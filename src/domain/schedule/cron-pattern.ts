import { civilDateOf, weekdayOf } from '../time/calendar.ts';

/** A cron expression that was understood. */
export interface CronPattern {
  /** As it was written, single spaces between its fields. */
  readonly text: string;
  readonly daysOfMonth: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  /** 0 is Sunday. */
  readonly daysOfWeek: ReadonlySet<number>;
  /** The seconds of a day at which it is due, ascending. */
  readonly times: readonly number[];
  /** It is due in every hour: then it follows real hours, else the wall clock, once each local day. */
  readonly isEveryHour: boolean;
}

export type ParsedCronPattern =
  | { readonly kind: 'pattern'; readonly pattern: CronPattern }
  | { readonly kind: 'refused'; readonly fault: string };

interface Field {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  readonly words: readonly string[];
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

const FIELDS: readonly Field[] = [
  { name: 'second', least: 0, most: 59, words: [] },
  { name: 'minute', least: 0, most: 59, words: [] },
  { name: 'hour', least: 0, most: 23, words: [] },
  { name: 'day of the month', least: 1, most: 31, words: [] },
  { name: 'month', least: 1, most: 12, words: MONTHS },
  { name: 'day of the week', least: 0, most: 7, words: WEEKDAYS },
];

/** February's in a leap year. */
const DAYS_OF_MONTHS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * Reads a cron expression of five fields, or of six where the first is the second. Refuses what is due on no day, and days of
 * the month together with days of the week: Vixie cron takes either, node-cron only both.
 */
export function parseCronPattern(expression: string): ParsedCronPattern {
  const texts = expression.trim().split(/\s+/);
  const fields = texts.length === 5 ? ['0', ...texts] : texts;
  if (fields.length !== FIELDS.length)
    return refused(
      `it has ${texts.length} fields, not 5 (minute, hour, day of the month, month, day of the week), nor 6 with the second before them`,
    );
  const values: ReadonlySet<number>[] = [];
  for (const [index, field] of FIELDS.entries()) {
    const read = valuesOf(fields[index] ?? '', field);
    if (read === undefined) return refused(`its ${field.name} cannot be read`);
    values.push(read);
  }
  if (fields[3] !== '*' && fields[5] !== '*')
    return refused('day of the month and day of the week are both restricted, which programs understand differently; leave one of them *');
  return patternOf(texts.join(' '), values);
}

/** Whether it is due at some time of that day, counted from 1970-01-01. */
export function isDueOnDay(pattern: CronPattern, dayOfEpoch: number): boolean {
  const { month, day } = civilDateOf(dayOfEpoch);
  return pattern.months.has(month) && pattern.daysOfMonth.has(day) && pattern.daysOfWeek.has(weekdayOf(dayOfEpoch));
}

const NONE: ReadonlySet<number> = new Set();

function patternOf(text: string, fields: readonly ReadonlySet<number>[]): ParsedCronPattern {
  const [seconds = NONE, minutes = NONE, hours = NONE, daysOfMonth = NONE, months = NONE, weekdays = NONE] = fields;
  const first = Math.min(...daysOfMonth);
  if (![...months].some((month) => first <= (DAYS_OF_MONTHS[month - 1] ?? 0)))
    return refused('it is never due: none of its months has such a day');
  const times = ascending(hours).flatMap((hour) =>
    ascending(minutes).flatMap((minute) => ascending(seconds).map((second) => hour * 3600 + minute * 60 + second)),
  );
  const daysOfWeek = new Set([...weekdays].map((day) => day % 7));
  return { kind: 'pattern', pattern: { text, daysOfMonth, months, daysOfWeek, times, isEveryHour: hours.size === 24 } };
}

/** Undefined where it cannot be read. */
function valuesOf(text: string, field: Field): ReadonlySet<number> | undefined {
  const values = new Set<number>();
  for (const item of text.split(',')) {
    const range = rangeOf(item, field);
    if (range === undefined) return undefined;
    for (let value = range.from; value <= range.to; value += range.step) values.add(value);
  }
  return values;
}

// One of: * or 5 or 1-5, the first and the last also with a step (8-18/2).
function rangeOf(item: string, field: Field): { readonly from: number; readonly to: number; readonly step: number } | undefined {
  const match = /^(?:(\*)|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:\/(\d{1,2}))?$/i.exec(item);
  if (match === null) return undefined;
  const [, star, first, last, steps] = match;
  const step = Number(steps ?? 1);
  if (step < 1 || (steps !== undefined && star === undefined && last === undefined)) return undefined;
  if (star !== undefined) return { from: field.least, to: field.most, step };
  const from = valueOf(first, field);
  const to = last === undefined ? from : valueOf(last, field);
  return from !== undefined && to !== undefined && from <= to ? { from, to, step } : undefined;
}

function valueOf(text: string | undefined, field: Field): number | undefined {
  const word = field.words.indexOf((text ?? '').toLowerCase());
  if (word !== -1) return word + field.least;
  const value = /^\d{1,2}$/.test(text ?? '') ? Number(text) : Number.NaN;
  return value >= field.least && value <= field.most ? value : undefined;
}

const ascending = (values: ReadonlySet<number>) => [...values].sort((a, b) => a - b);

function refused(fault: string): ParsedCronPattern {
  return { kind: 'refused', fault };
}
