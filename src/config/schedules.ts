import { join } from 'node:path';
import { SpokeError } from '../errors.ts';
import type { RepositoryName } from '../domain/catalog/base-backup.ts';
import { parseCronPattern } from '../domain/schedule/cron-pattern.ts';
import type { Schedule } from '../domain/schedule/schedule.ts';
import type { ClusterConfig } from './model.ts';
import { problemsOfSchema } from './problems.ts';
import { readConfigurationText } from './read-text.ts';
import { invalidConfiguration } from './report.ts';
import { scheduleNameOf } from './schedule-name.ts';
import { scheduleSchema, type ScheduleValues } from './schedule-schema.ts';
import { parseYaml } from './yaml-source.ts';

/** What a schedule file says: when what is done. */
export type ScheduleDefinition = ScheduleValues;

/** Where schedules are looked for by name. */
export interface ScheduleLocation {
  /** The configuration file: schedules of the operator's own are in the folder `schedules` beside it. */
  readonly configurationPath: string;
  /** The folder of the schedules that ship with this program. */
  readonly shippedDirectory: string;
}

/** The folders in which a schedule is looked for by its name: the operator's own come before those that ship. */
export function scheduleFolders(location: ScheduleLocation): readonly string[] {
  return [join(location.configurationPath, '..', 'schedules'), location.shippedDirectory];
}

/**
 * Finds a schedule by its name or absolute path and reads it.
 * Throws CONFIG_NOT_FOUND, or CONFIG_INVALID with every problem and its place.
 */
export async function loadSchedule(name: string, location: ScheduleLocation): Promise<{ path: string; definition: ScheduleDefinition }> {
  const paths = name.startsWith('/') ? [name] : scheduleFolders(location).map((folder) => join(folder, `${name}.yaml`));
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

/** Every schedule of a cluster, in the order of the configuration. Throws as loadSchedule does. */
export async function loadSchedules(cluster: ClusterConfig, location: ScheduleLocation): Promise<readonly Schedule[]> {
  const schedules: Schedule[] = [];
  for (const reference of cluster.schedules) {
    const { definition } = await loadSchedule(reference, location);
    schedules.push(resolveSchedule(scheduleNameOf(reference), definition, cluster));
  }
  return schedules;
}

const EVERY_DAY: ReadonlySet<number> = new Set([0, 1, 2, 3, 4, 5, 6]);

/** A schedule for one cluster. Throws CONFIG_INVALID where it names a repository that the cluster does not have. */
export function resolveSchedule(name: string, definition: ScheduleDefinition, cluster: ClusterConfig): Schedule {
  const parsed = parseCronPattern(definition.cron);
  if (parsed.kind === 'refused') throw new SpokeError('INTERNAL', `the schedule ${name} was not checked: ${parsed.fault}`);
  const { kind, timezone, jitter, maximumRunTime, blackouts, suspended } = definition;
  return {
    name,
    kind,
    ...(kind === 'backup' ? { type: definition.type } : {}),
    pattern: parsed.pattern,
    timezone,
    repositories: repositoriesOf(name, definition, cluster),
    expireAfterBackup: kind === 'backup' && definition.expireAfterBackup,
    jitterSeconds: jitter ?? 0,
    ...(maximumRunTime === undefined ? {} : { maximumRunSeconds: maximumRunTime }),
    blackouts: blackouts.map(({ from, to, days }) => ({ from, to, daysOfWeek: days ?? EVERY_DAY })),
    suspended,
  };
}

function repositoriesOf(name: string, { repositories }: ScheduleDefinition, cluster: ClusterConfig): readonly RepositoryName[] {
  const known = cluster.repositories.map((repository) => repository.name);
  if (repositories === 'all') return known;
  const unknown = repositories.find((repository) => !known.includes(repository as RepositoryName));
  if (unknown === undefined) return known.filter((repository) => repositories.includes(repository));
  throw new SpokeError(
    'CONFIG_INVALID',
    `the schedule ${name} names the repository ${unknown}, which the cluster ${cluster.name} does not have`,
    {
      hint: `Its repositories: ${known.join(', ')}`,
    },
  );
}
