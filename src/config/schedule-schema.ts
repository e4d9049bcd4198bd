import * as z from 'zod/mini';
import { parseCronPattern } from '../domain/schedule/cron-pattern.ts';
import { parseDuration } from '../domain/time/duration.ts';
import { isTimezone, NAME_PATTERN, NAME_RULE, TIMEZONE_RULE } from './patterns.ts';

const cron = z.string().check(
  z.overwrite((text) => text.trim().split(/\s+/).join(' ')),
  z.superRefine((text, context) => {
    const parsed = parseCronPattern(text);
    if (parsed.kind === 'refused') context.addIssue({ code: 'custom', message: `must be a cron expression: ${parsed.fault}` });
  }),
);
const timezone = z.string().check(z.refine(isTimezone, { error: TIMEZONE_RULE }));
const name = z.string().check(z.regex(NAME_PATTERN, { error: NAME_RULE }));
const repositories = z.union([z.literal('all'), z.array(name).check(z.minLength(1))], {
  error: 'must be all, or a list of names of repositories',
});

/** A duration as text; the schema makes seconds of it. */
export function durationOf(leastSeconds: number, mostSeconds: number, rule: string) {
  const isDuration = (text: string) => {
    const seconds = parseDuration(text);
    return seconds !== undefined && seconds >= leastSeconds && seconds <= mostSeconds;
  };
  return z.pipe(
    z.string({ error: rule }).check(z.refine(isDuration, { error: rule })),
    z.transform((text) => parseDuration(text) ?? 0),
  );
}

const TIME_RULE = 'must be a time of day between "00:00" and "24:00", in quotes';
const time = z.pipe(
  z.string({ error: TIME_RULE }).check(z.regex(/^(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)$/, { error: TIME_RULE })),
  z.transform((text) => Number(text.slice(0, 2)) * 3600 + Number(text.slice(3)) * 60),
);

const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const weekdays = z.pipe(
  z.array(z.enum(WEEKDAYS)).check(z.minLength(1)),
  z.transform((days) => new Set(days.map((day) => WEEKDAYS.indexOf(day)))),
);

const blackout = z.strictObject({
  from: time.check(z.describe('When it begins, by the wall clock of timezone.')),
  to: time.check(z.describe('When it ends; on the next day where that is earlier than from.')),
  days: z.optional(weekdays.check(z.describe('Days on which it begins: mon, tue and so on. All where it is not given.'))),
});

const DAY = 86_400;
const common = {
  cron: cron.check(z.describe('When: minute, hour, day of the month, month, day of the week; seconds may stand before them.')),
  timezone: z._default(timezone.check(z.describe('Zone in which cron and blackouts are meant.')), 'Etc/UTC'),
  repositories: z._default(repositories.check(z.describe('Where: all, or a list of names.')), 'all'),
  jitter: z.optional(
    durationOf(0, DAY, 'must be a duration of at most a day, such as 10m').check(
      z.describe('A run begins up to so much later, so that many clusters do not begin at once.'),
    ),
  ),
  maximumRunTime: z.optional(
    durationOf(1, 20 * DAY, 'must be a duration of at most 20 days, such as 6h').check(z.describe('A run that takes longer is ended.')),
  ),
  blackouts: z._default(z.array(blackout).check(z.maxLength(32), z.describe('When no run begins: it waits for the end.')), []),
  suspended: z._default(z.boolean().check(z.describe('Nothing of it is due.')), false),
};

/** The schema of a schedule file. */
export const scheduleSchema = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({
      kind: z.literal('backup').check(z.describe('Takes backups.')),
      type: z.enum(['full', 'diff', 'incr']).check(z.describe('Type of the backup.')),
      ...common,
      expireAfterBackup: z._default(z.boolean().check(z.describe('Each good backup is followed by an expire of its repository.')), false),
    }),
    z.strictObject({ kind: z.literal('expire').check(z.describe('Removes what the retention does not keep.')), ...common }),
    z.strictObject({ kind: z.literal('verify').check(z.describe('Checks backups and WAL in the repositories.')), ...common }),
    z.strictObject({ kind: z.literal('drill').check(z.describe('Restores for practice, and proves it.')), ...common }),
  ],
  { error: 'must be one of backup, expire, verify, drill' },
);

/** What a schedule file says once it has been checked and its defaults filled in. */
export type ScheduleValues = z.output<typeof scheduleSchema>;
