import { readdir } from 'node:fs/promises';
import { isAlwaysBlackout } from '../domain/schedule/blackout.ts';
import { nextOccurrences } from '../domain/schedule/occurrences.ts';
import type { Schedule } from '../domain/schedule/schedule.ts';
import { formatDuration } from '../domain/time/duration.ts';
import { type Instant, instantOfSeconds, secondsBetween } from '../domain/time/instant.ts';
import { SpokeError } from '../errors.ts';
import type { Finding } from './check-rules.ts';
import type { ClusterConfig } from './model.ts';
import { nearestKey } from './nearest-key.ts';
import { scheduleNameOf } from './schedule-name.ts';
import { loadSchedule, resolveSchedule, scheduleFolders, type ScheduleLocation } from './schedules.ts';

/** What is wrong with the schedules that a cluster names, and with all of them together. */
export async function checkSchedules(cluster: ClusterConfig, path: string, location: ScheduleLocation): Promise<Finding[]> {
  const findings: Finding[] = [];
  const sound: Schedule[] = [];
  for (const [index, reference] of cluster.schedules.entries()) {
    const at = `${path}.schedules[${index}]`;
    try {
      const { definition, path: file } = await loadSchedule(reference, location);
      const schedule = resolveSchedule(scheduleNameOf(reference), definition, cluster);
      findings.push(...checkSchedule(schedule, at, file));
      sound.push(schedule);
    } catch (thrown) {
      if (!(thrown instanceof SpokeError)) throw thrown;
      const meant = thrown.code === 'CONFIG_NOT_FOUND' ? await nearestSchedule(reference, location) : undefined;
      findings.push(error(at, thrown.message, meant === undefined ? thrown.hint : `Did you mean ${meant}?`));
    }
  }
  const isComplete = sound.length === cluster.schedules.length;
  return [...findings, ...(isComplete ? checkTogether(sound, path) : [])];
}

function checkSchedule(schedule: Schedule, at: string, file: string): Finding[] {
  const findings: Finding[] = [];
  if (schedule.kind === 'drill')
    findings.push(error(at, `${file} is of kind drill, and this version has no drills yet`, 'Remove it from schedules until it has.'));
  if (isAlwaysBlackout(schedule.blackouts))
    findings.push(error(at, `the blackouts of ${file} leave no time free: it would never begin`, 'Shorten one of them.'));
  const shortest = shortestPause(schedule);
  if (shortest !== undefined && schedule.jitterSeconds >= shortest) {
    const message = `the jitter of ${file} is not shorter than the ${formatDuration(shortest)} between two of its runs`;
    findings.push(error(at, message, `Make it shorter than ${formatDuration(shortest)}.`));
  }
  return findings;
}

/** An incremental builds on the last full, which is kept for as long as anything builds on it. */
function checkTogether(schedules: readonly Schedule[], path: string): Finding[] {
  const backups = schedules.filter((schedule) => schedule.kind === 'backup' && !schedule.suspended);
  const withoutFull = [...new Set(backups.flatMap((schedule) => schedule.repositories))].filter(
    (repository) => !backups.some((schedule) => schedule.type === 'full' && schedule.repositories.includes(repository)),
  );
  return withoutFull.map((repository) => ({
    severity: 'warning',
    path: `${path}.schedules`,
    message: `no schedule takes full backups into ${repository}: all that come after it rest on the first`,
    hint: 'Add daily-full, or one of your own.',
  }));
}

const SOME_MONDAY = instantOfSeconds(1_767_571_200);
const OCCURRENCES_COMPARED = 400;

/** In seconds, of the occurrences from the first Monday of 2026 on: those of a year, or as many as show a pattern of minutes. */
function shortestPause(schedule: Schedule): number | undefined {
  const found = nextOccurrences(schedule, SOME_MONDAY, OCCURRENCES_COMPARED);
  const pauses = found.slice(1).map((occurrence, index) => secondsBetween(found[index] as Instant, occurrence));
  return pauses.length === 0 ? undefined : Math.min(...pauses);
}

async function nearestSchedule(reference: string, location: ScheduleLocation): Promise<string | undefined> {
  if (reference.startsWith('/')) return undefined;
  const files = await Promise.all(scheduleFolders(location).map((folder) => readdir(folder).catch(() => [])));
  return nearestKey(reference, [
    ...new Set(
      files
        .flat()
        .filter((file) => file.endsWith('.yaml'))
        .map(scheduleNameOf),
    ),
  ]);
}

function error(path: string, message: string, hint: string): Finding {
  return { severity: 'error', path, message, hint };
}
