import type { RepositoryName } from '../catalog/base-backup.ts';
import { type Instant } from '../time/instant.ts';
import { considerSchedule, earlier } from './consider-schedule.ts';
import { considerEarlyBackup, considerExpire } from './consider-unscheduled.ts';
import type { Consideration, DueRun, HeldRun, PassedOver } from './due-run.ts';
import type { EarlyFacts, RepositoryFacts } from './early.ts';
import { scheduledType } from './engine-facts.ts';
import { RunHistory } from './history.ts';
import { isAtLeast, type PastRun } from './past-run.ts';
import { gatherBackups } from './together.ts';
import { type FirstSeen, noteFirstSeen, type Schedule, scheduleIdentity } from './schedule.ts';

/** All that the decision rests on. */
export interface ScheduleFacts extends EarlyFacts {
  readonly cluster: string;
  readonly schedules: readonly Schedule[];
  /** Of the decision before this one; empty for the first. */
  readonly firstSeen: FirstSeen;
  /** In any order. As far back as a schedule's last good run at least. */
  readonly runs: readonly PastRun[];
  /** In the order of the configuration. One that could not be read is left out, and gets no early backup. */
  readonly repositories: readonly RepositoryFacts[];
}

/** What is to be done now, and why the rest is not. */
export interface ScheduleDecision {
  /** To be begun at once; absent while another run of the cluster is under way, and where nothing is due. */
  readonly start?: DueRun;
  /** Due, and begun after what comes before: at most one of each schedule and repository. */
  readonly queued: readonly DueRun[];
  readonly held: readonly HeldRun[];
  readonly passedOver: readonly PassedOver[];
  /** When to decide anew, where no run ends before; absent where nothing will ever be due. */
  readonly wakeAt?: Instant;
  /** To be kept for the next decision. */
  readonly firstSeen: FirstSeen;
}

/**
 * Decides what is due. Pure, and the same however often it is asked: a run is known by its schedule, its occurrence and its
 * repository, so none is begun twice, whatever the clock does; and of what was missed only the newest is run.
 */
export function decideWhatIsDue(facts: ScheduleFacts): ScheduleDecision {
  const { now } = facts;
  const firstSeen = noteFirstSeen(facts.firstSeen, facts.schedules, now);
  const history = new RunHistory(facts.runs, now);
  const active = facts.schedules.filter((schedule) => !schedule.suspended);
  const considered = [
    ...active.flatMap((schedule) => considerEverywhere(schedule, history, facts, firstSeen[scheduleIdentity(schedule)] ?? now)),
    ...considerBetween(active, history, facts),
  ];
  const due = considered.flatMap((one) => one.due ?? []).sort((a, b) => rank(a) - rank(b));
  const { kept, passedOver } = withoutRepeated(due, history.running);
  const gathered = gatherBackups(kept, facts.engines);
  const [next, ...later] = gathered;
  const isBusy = history.running.length > 0;
  const wakeAt = considered.reduce<Instant | undefined>((first, one) => earlier(first, one.wakeAt), undefined);
  return {
    ...(isBusy || next === undefined ? {} : { start: next }),
    queued: isBusy ? gathered : later,
    held: considered.flatMap((one) => one.held ?? []),
    passedOver: [...considered.flatMap((one) => one.passedOver ?? []), ...passedOver],
    ...(wakeAt === undefined ? {} : { wakeAt }),
    firstSeen,
  };
}

/** A drill is one thing; everything else is due in each repository by itself, of the type that its engine can take. */
function considerEverywhere(schedule: Schedule, history: RunHistory, facts: ScheduleFacts, firstSeen: Instant): readonly Consideration[] {
  const context = { cluster: facts.cluster, history, now: facts.now, firstSeen };
  if (schedule.kind === 'drill') return [considerSchedule(schedule, undefined, context)];
  return schedule.repositories.flatMap((repository) => {
    const type = scheduledType(schedule.type, facts.engines.get(repository));
    if (type === undefined) return schedule.type === undefined ? [considerSchedule(schedule, repository, context)] : [];
    return [considerSchedule({ ...schedule, type }, repository, context)];
  });
}

function considerBetween(active: readonly Schedule[], history: RunHistory, facts: ScheduleFacts): readonly Consideration[] {
  const backups = active.filter((schedule) => schedule.kind === 'backup');
  const into = (repository: RepositoryName) => backups.filter((schedule) => schedule.repositories.includes(repository));
  const repositories = new Set(backups.flatMap((schedule) => schedule.repositories));
  return [
    ...facts.repositories.map((repository) => considerEarlyBackup(repository, into(repository.name), history, facts)),
    ...[...repositories].map((repository) => considerExpire(repository, into(repository), history, facts.now)),
  ];
}

/** What comes first: the backup on which others rest, and what makes room for the next. Of equals, the one of the first schedule. */
function rank({ kind, type, trigger }: DueRun): number {
  switch (kind) {
    case 'backup':
      return (type === 'full' ? 0 : type === 'diff' ? 2 : 3) + (trigger.kind === 'early' ? 0.5 : 0);
    case 'expire':
      return 1;
    case 'verify':
      return 4;
    case 'drill':
      return 5;
  }
}

/** Leaves out a backup where another one, about to begin or under way, does the same and more. */
function withoutRepeated(due: readonly DueRun[], running: readonly PastRun[]): { kept: readonly DueRun[]; passedOver: PassedOver[] } {
  const kept: DueRun[] = [];
  const passedOver: PassedOver[] = [];
  for (const run of due) {
    const inPlace =
      kept.some((other) => doesTheSame(other, run)) || (run.trigger.kind === 'early' && running.some((other) => isBackupOf(other, run)));
    if (!inPlace) kept.push(run);
    else if (run.trigger.kind === 'schedule')
      passedOver.push({
        schedule: run.trigger.name,
        ...(run.repositories[0] && { repository: run.repositories[0] }),
        occurrence: run.trigger.occurrence,
        count: 1,
        reason: 'another backup that is about to begin does the same',
      });
  }
  return { kept, passedOver };
}

/** A run that is gone on with began before: it does the work only of what was due by then. */
function doesTheSame(other: DueRun, run: DueRun): boolean {
  if (other.kind !== 'backup' || run.kind !== 'backup' || other.repositories[0] !== run.repositories[0]) return false;
  if (!isAtLeast(other.type, run.type)) return false;
  if (run.trigger.kind !== 'schedule' || other.resumes === undefined) return true;
  return other.resumes.startedAt >= run.trigger.occurrence;
}

function isBackupOf({ kind, repositories }: PastRun, run: DueRun): boolean {
  return kind === 'backup' && repositories.some((repository) => run.repositories.includes(repository));
}
