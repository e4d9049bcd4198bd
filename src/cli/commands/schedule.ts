import { join } from 'node:path';
import { createSystemClock } from '../../composition.ts';
import { loadConfiguration } from '../../config/load.ts';
import { isTimezone, TIMEZONE_RULE } from '../../config/patterns.ts';
import { loadSchedules, type ScheduleLocation } from '../../config/schedules.ts';
import type { Configuration } from '../../config/model.ts';
import { parseCronPattern } from '../../domain/schedule/cron-pattern.ts';
import { nextOccurrences, type Recurrence } from '../../domain/schedule/occurrences.ts';
import type { Schedule } from '../../domain/schedule/schedule.ts';
import { formatInstantIso, formatInstantLocal, formatInstantUtc, type Instant } from '../../domain/time/instant.ts';
import { parseInstant } from '../../domain/time/parse-instant.ts';
import { asSpokeError, SpokeError } from '../../errors.ts';
import type { ChangingOptions, CommandContext, GlobalOptions } from '../command-context.ts';
import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import { observeEngines } from '../../workflows/observe-cluster.ts';
import { type Becoming, observeBecomings } from '../engine-facts.ts';
import { renderTable } from '../render/table.ts';
import { type ScheduledWork, WORKERS } from '../scheduled-work.ts';
import type { WorkReport } from '../work-report.ts';
import { clusterOf, loadOptions, openSession, type Session } from '../session.ts';

const LISTED = 3;

/** `spoke-backup schedule list` */
export async function listSchedulesCommand(options: GlobalOptions, context: CommandContext): Promise<void> {
  const configuration = await loadConfiguration(loadOptions(options));
  const cluster = clusterOf(configuration, options.cluster);
  const schedules = await loadSchedules(cluster, locationOf(configuration, context));
  const now = createSystemClock().now();
  const becomingsOf = await observeBecomings(configuration, cluster, schedules, context.signal);
  const listed = schedules.map((schedule) => ({
    schedule,
    becomings: becomingsOf(schedule),
    next: schedule.suspended ? [] : nextOccurrences(schedule, now, LISTED),
  }));
  context.output.result({ cluster: cluster.name, schedules: listed.map(scheduleToJson) }, () =>
    listed.length === 0
      ? `cluster ${cluster.name} names no schedules`
      : renderTable(['SCHEDULE', 'WHAT', 'CRON', 'NEXT, LOCAL', 'NEXT, UTC'], listed.flatMap(rowsOf)),
  );
}

interface NextOptions {
  readonly cron: string;
  readonly timezone: string;
  readonly from?: string;
  readonly count: string;
}

const MOST_COUNT = 10_000;

/** `spoke-backup schedule next` */
export async function nextOccurrencesCommand(options: NextOptions, context: CommandContext): Promise<void> {
  const recurrence = recurrenceOf(options);
  const from = instantOf(options);
  const count = /^\d+$/.test(options.count) ? Number(options.count) : 0;
  if (count < 1 || count > MOST_COUNT) throw usage(`--count ${options.count}: it is a number from 1 to ${MOST_COUNT}`);
  const next = nextOccurrences(recurrence, from, count);
  const document = {
    cron: recurrence.pattern.text,
    timezone: recurrence.timezone,
    from: formatInstantIso(from),
    next: next.map(formatInstantIso),
  };
  context.output.result(document, () => next.map((instant) => formatInstantUtc(instant)).join('\n'));
}

/** `spoke-backup schedule run <name>` */
export async function runScheduleCommand(name: string, options: ChangingOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  const schedule = scheduleNamed(name, await loadSchedules(session.cluster, locationOf(session.configuration, context)));
  const trigger = { kind: 'schedule', name: schedule.name, occurrence: session.ports.clock.now() } as const;
  const groups = schedule.kind === 'backup' ? await takenTogether(schedule, session, context) : schedule.repositories.map((one) => [one]);
  const works = groups.map((repositories) => ({ schedule, repositories, trigger }));
  await runEach(works, options.dryRun === true, session, context);
}

/** The repositories of a schedule, those together that one backup goes into. */
async function takenTogether(
  { repositories }: Schedule,
  { cluster, ports }: Session,
  { signal }: CommandContext,
): Promise<RepositoryName[][]> {
  const { versions } = await observeEngines(cluster, repositories, ports, { signal });
  const groups = new Map<string, RepositoryName[]>();
  for (const repository of repositories) {
    const version = versions.get(repository);
    const key = version?.copiesIntoSeveral === true ? `engine ${version.name}` : `repository ${repository}`;
    groups.set(key, [...(groups.get(key) ?? []), repository]);
  }
  return [...groups.values()];
}

/** One after the other; a repository in which it fails does not keep it from the next. */
async function runEach(works: readonly ScheduledWork[], isDryRun: boolean, session: Session, context: CommandContext): Promise<void> {
  const reports: WorkReport[] = [];
  const errors: SpokeError[] = [];
  for (const work of works) {
    const worker = WORKERS[work.schedule.kind];
    const { signal, dispose } = withTimeLimit(context.signal, work.schedule);
    try {
      const limited = { ...context, signal };
      reports.push(await (isDryRun ? worker.preview(work, session, limited) : worker.run(work, session, limited)));
    } catch (thrown) {
      const error = asSpokeError(thrown);
      if (context.signal.aborted) throw error;
      errors.push(error);
    } finally {
      dispose();
    }
  }
  const [first] = errors;
  if (first !== undefined && reports.length === 0) throw first;
  for (const error of errors) context.output.warn(error.message);
  if (errors.length > 0 || reports.some((report) => report.isPartial)) context.output.exitCode = 3;
  const failures = errors.map(({ code, message, hint }) => ({ code, message, hint }));
  const runs = reports.map((report) => report.document);
  context.output.result({ schedule: works[0]?.schedule.name, ...(isDryRun ? { dryRun: true } : {}), runs, failures }, () =>
    reports.map((report) => report.text).join('\n'),
  );
}

/** A signal that also ends a run when its schedule says that it takes too long. */
function withTimeLimit(signal: AbortSignal, { name, maximumRunSeconds }: Schedule): { signal: AbortSignal; dispose(): void } {
  if (maximumRunSeconds === undefined) return { signal, dispose: () => undefined };
  const limit = new AbortController();
  const message = `the schedule ${name} allows a run ${maximumRunSeconds} s (maximumRunTime)`;
  const timer = setTimeout(() => limit.abort(new SpokeError('TIMED_OUT', message)), maximumRunSeconds * 1000);
  return { signal: AbortSignal.any([signal, limit.signal]), dispose: () => clearTimeout(timer) };
}

function locationOf({ path }: Configuration, { root }: CommandContext): ScheduleLocation {
  return { configurationPath: path, shippedDirectory: join(root, 'schedules') };
}

function scheduleNamed(name: string, schedules: readonly Schedule[]): Schedule {
  const found = schedules.find((schedule) => schedule.name === name);
  if (found !== undefined) return found;
  const names = schedules.map((schedule) => schedule.name);
  throw usage(
    `the cluster names no schedule "${name}"`,
    names.length === 0 ? 'Name schedules in its configuration.' : `It names: ${names.join(', ')}`,
  );
}

function recurrenceOf({ cron, timezone }: NextOptions): Recurrence {
  const parsed = parseCronPattern(cron);
  if (parsed.kind === 'refused') throw usage(`--cron "${cron}": ${parsed.fault}`);
  if (!isTimezone(timezone)) throw usage(`--timezone ${timezone}: ${TIMEZONE_RULE}`);
  return { pattern: parsed.pattern, timezone };
}

function instantOf({ from, timezone }: NextOptions): Instant {
  const now = createSystemClock().now();
  if (from === undefined) return now;
  const parsed = parseInstant(from, { timeZone: timezone, now });
  if (parsed.kind === 'instant') return parsed.instant;
  throw usage(`--from ${parsed.message}`, parsed.suggestions.length === 0 ? undefined : `For example: ${parsed.suggestions.join(' or ')}`);
}

function usage(message: string, hint = 'See: spoke-backup schedule --help'): SpokeError {
  return new SpokeError('USAGE', message, { hint });
}

interface Listed {
  readonly schedule: Schedule;
  readonly becomings: readonly Becoming[];
  readonly next: readonly Instant[];
}

function rowsOf({ schedule, becomings, next }: Listed): readonly (readonly string[])[] {
  const head = [schedule.name, whatOf(schedule, becomings), `${schedule.pattern.text} ${schedule.timezone}`];
  if (schedule.suspended) return [[...head, 'suspended', '']];
  return next.map((instant, index) => [
    ...(index === 0 ? head : ['', '', '']),
    formatInstantLocal(instant, schedule.timezone),
    formatInstantUtc(instant, { fraction: 'none' }),
  ]);
}

function whatOf({ kind, type, repositories }: Schedule, becomings: readonly Becoming[]): string {
  const places = repositories.map((repository) => {
    const becomes = becomings.find((one) => one.repository === repository)?.type;
    return becomes === undefined ? repository : `${repository} (${becomes}: no incrementals before PostgreSQL 17)`;
  });
  return `${type === undefined ? kind : `${type} ${kind}`}: ${places.join(', ')}`;
}

function scheduleToJson({ schedule, becomings, next }: Listed) {
  const { name, kind, type, pattern, timezone, repositories, suspended, jitterSeconds, maximumRunSeconds, expireAfterBackup } = schedule;
  return {
    name,
    kind,
    ...(type === undefined ? {} : { type, expireAfterBackup, becomes: becomings }),
    cron: pattern.text,
    timezone,
    repositories,
    suspended,
    jitterSeconds,
    maximumRunSeconds: maximumRunSeconds ?? null,
    next: next.map((instant) => ({ utc: formatInstantIso(instant), local: formatInstantLocal(instant, timezone) })),
  };
}
