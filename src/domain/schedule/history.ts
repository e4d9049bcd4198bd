import type { BackupType, RepositoryName } from '../catalog/base-backup.ts';
import type { Instant } from '../time/instant.ts';
import { isAtLeast, isDone, type PastRun } from './past-run.ts';
import type { ScheduleKind } from './schedule.ts';

/** The runs of a cluster so far, as questions that a decision asks. */
export class RunHistory {
  readonly #runs: readonly PastRun[];
  readonly #now: Instant;
  /** What is going on now. */
  readonly running: readonly PastRun[];

  constructor(runs: readonly PastRun[], now: Instant) {
    this.#runs = runs;
    this.#now = now;
    this.running = runs.filter((run) => run.state.kind === 'running');
  }

  /** The newest occurrence up to now whose run is done. What ran in what is the future by now tells nothing of the past. */
  lastDone(kind: ScheduleKind, schedule: string, repository: RepositoryName | undefined): Instant | undefined {
    let last: Instant | undefined;
    for (const run of this.#runs) {
      const occurrence = occurrenceOf(run, kind, schedule, repository);
      if (occurrence === undefined || occurrence > this.#now || run.startedAt > this.#now || !isDone(run)) continue;
      if (last === undefined || occurrence > last) last = occurrence;
    }
    return last;
  }

  /** The run of that occurrence, also one that began in what is the future by now: that is how it is never done twice. */
  runOf(kind: ScheduleKind, schedule: string, repository: RepositoryName | undefined, occurrence: Instant): PastRun | undefined {
    const ofOccurrence = this.#runs.filter((run) => occurrenceOf(run, kind, schedule, repository) === occurrence);
    return ofOccurrence.find(isDone) ?? newest(ofOccurrence, () => true);
  }

  /** A backup that does what one of `type` would have done, from `since` on: done, or under way. */
  backupSince(repository: RepositoryName, type: BackupType | undefined, since: Instant): PastRun | undefined {
    return this.#runs.find(
      (run) =>
        this.#isPast(run, 'backup', repository) &&
        run.startedAt >= since &&
        isAtLeast(run.type, type) &&
        (run.state.kind === 'succeeded' || run.state.kind === 'running'),
    );
  }

  /** The newest good run of that kind. */
  lastGood(kind: ScheduleKind, repository: RepositoryName, isWanted: (run: PastRun) => boolean = () => true): PastRun | undefined {
    return newest(this.#runs, (run) => run.state.kind === 'succeeded' && this.#isPast(run, kind, repository) && isWanted(run));
  }

  /** The newest backup that was begun early, where no good one was begun after it. */
  lastEarly(repository: RepositoryName): PastRun | undefined {
    const early = newest(this.#runs, (run) => run.trigger.kind === 'early' && this.#isPast(run, 'backup', repository));
    const good = this.lastGood('backup', repository);
    return early !== undefined && good !== undefined && good.startedAt >= early.startedAt ? undefined : early;
  }

  #isPast(run: PastRun, kind: ScheduleKind, repository: RepositoryName): boolean {
    return run.kind === kind && run.startedAt <= this.#now && run.repositories.includes(repository);
  }
}

/** For which occurrence of the schedule it was run in that repository; undefined for a run of anything else. */
function occurrenceOf(
  { kind, trigger, repositories }: PastRun,
  wanted: ScheduleKind,
  schedule: string,
  repository: RepositoryName | undefined,
): Instant | undefined {
  if (kind !== wanted || trigger.kind !== 'schedule' || trigger.name !== schedule) return undefined;
  return repository === undefined || repositories.includes(repository) ? trigger.occurrence : undefined;
}

function newest(runs: readonly PastRun[], isWanted: (run: PastRun) => boolean): PastRun | undefined {
  let last: PastRun | undefined;
  for (const run of runs) if (isWanted(run) && (last === undefined || run.startedAt > last.startedAt)) last = run;
  return last;
}
