import { join } from 'node:path';
import * as z from 'zod';
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

/** The schema of a schedule file. */
export const scheduleSchema = z.strictObject({
  cron: z
    .string()
    .transform((text) => text.trim().split(/\s+/).join(' '))
    .superRefine((text, context) => {
      const fault = checkCronExpression(text);
      if (fault !== undefined) context.addIssue({ code: 'custom', message: `must be a cron expression: ${fault}` });
    })
    .describe('When: minute, hour, day of the month, month, day of the week.'),
  timezone: z
    .string()
    .refine(isTimezone, { error: TIMEZONE_RULE })
    .default('Etc/UTC')
    .describe('Zone in which cron is meant. In zones with summer time some hours come twice or not at all.'),
  kind: z.literal('backup').describe('What is done.'),
  type: z.enum(['full', 'diff', 'incr']).describe('Type of the backup.'),
  repositories: z
    .union([z.literal('all'), z.array(z.string().regex(NAME_PATTERN, { error: NAME_RULE })).min(1)], {
      error: 'must be all, or a list of names of repositories',
    })
    .default('all')
    .describe('Where to: all, or a list of names.'),
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
    const text = await readConfigurationText(path);
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
