import { join } from 'node:path';
import * as z from 'zod/mini';
import { SpokeError } from '../errors.ts';
import { checkCronExpression } from './cron-expression.ts';
import { isTimezone, NAME_PATTERN, NAME_RULE, TIMEZONE_RULE } from './patterns.ts';
import { problemsOfSchema } from './problems.ts';
import { readConfigurationText } from './read-text.ts';
import { invalidConfiguration } from './report.ts';
import { parseYaml } from './yaml-source.ts';

/** What a schedule file says: when which backup is taken. */
export interface ScheduleDefinition {
  /** Five fields: minute, hour, day of the month, month, day of the week. */
  readonly cron: string;
  /** The zone in which `cron` is meant. */
  readonly timezone: string;
  readonly kind: 'backup';
  readonly type: 'full' | 'diff' | 'incr';
  readonly repositories: 'all' | readonly string[];
}

const cron = z.string().check(
  z.overwrite((text) => text.trim().split(/\s+/).join(' ')),
  z.superRefine((text, context) => {
    const fault = checkCronExpression(text);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: `must be a cron expression: ${fault}` });
  }),
);
const timezone = z
  .string()
  .check(
    z.refine(isTimezone, { error: TIMEZONE_RULE }),
    z.describe('Zone in which cron is meant. In zones with summer time some hours come twice or not at all.'),
  );
const name = z.string().check(z.regex(NAME_PATTERN, { error: NAME_RULE }));
const repositories = z
  .union([z.literal('all'), z.array(name).check(z.minLength(1))], {
    error: 'must be all, or a list of names of repositories',
  })
  .check(z.describe('Where to: all, or a list of names.'));

/** The schema of a schedule file. */
export const scheduleSchema = z.strictObject({
  cron: cron.check(z.describe('When: minute, hour, day of the month, month, day of the week.')),
  timezone: z._default(timezone, 'Etc/UTC'),
  kind: z.literal('backup').check(z.describe('What is done.')),
  type: z.enum(['full', 'diff', 'incr']).check(z.describe('Type of the backup.')),
  repositories: z._default(repositories, 'all'),
});

/** Where schedules are looked for by name. */
export interface ScheduleLocation {
  /** The configuration file: schedules of the operator's own are in the folder `schedules` beside it. */
  readonly configurationPath: string;
  /** The folder of the schedules that ship with this program. */
  readonly shippedDirectory: string;
}

/**
 * Finds a schedule by its name or absolute path and reads it. The operator's own come before those that ship.
 * Throws CONFIG_NOT_FOUND, or CONFIG_INVALID with every problem and its place.
 */
export async function loadSchedule(name: string, location: ScheduleLocation): Promise<{ path: string; definition: ScheduleDefinition }> {
  const paths = name.startsWith('/')
    ? [name]
    : [join(location.configurationPath, '..', 'schedules'), location.shippedDirectory].map((folder) => join(folder, `${name}.yaml`));
  for (const path of paths) {
    const text = readConfigurationText(path);
    if (text !== undefined) return { path, definition: parseSchedule(path, text) };
  }
  throw new SpokeError('CONFIG_NOT_FOUND', `there is no schedule ${name}: looked for ${paths.join(' and ')}`, {
    details: { schedule: name, paths },
    hint: 'Correct its name under schedules, or write that file.',
  });
}

/** Throws CONFIG_INVALID. */
export function parseSchedule(path: string, text: string): ScheduleDefinition {
  const source = parseYaml(text);
  const readable = source.problems.length === 0;
  const checked = readable ? problemsOfSchema(scheduleSchema, source.tree ?? {}) : { problems: [] };
  if (checked.value !== undefined) return checked.value;
  throw invalidConfiguration(path, [...source.problems, ...checked.problems], source);
}
