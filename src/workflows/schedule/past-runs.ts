import type { BackupType, RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { PastRun, RunState } from '../../domain/schedule/past-run.ts';
import type { ScheduleKind } from '../../domain/schedule/schedule.ts';
import { ERROR_KINDS, type ErrorCode } from '../../errors.ts';
import { takeBackupStepId } from '../backup/plan.ts';
import type { JournalEntry, RunId, StoredRun } from '../../ports/run-store.ts';

const KINDS: readonly string[] = ['backup', 'expire', 'verify', 'drill'] satisfies ScheduleKind[];

/**
 * The runs that schedules are about, of the journals of a cluster. `alive`: those whose process is known to work on them; any
 * other that has not ended was interrupted.
 */
export function pastRunsOf(runs: readonly StoredRun[], cluster: string, alive: ReadonlySet<RunId>): readonly PastRun[] {
  return runs
    .filter((run) => run.header.cluster === cluster && KINDS.includes(run.header.verb))
    .flatMap((run) => {
      const past = pastRunOf(run, alive);
      return past.kind === 'backup' ? byRepository(past, run.entries) : [past];
    });
}

/**
 * A backup that is not done everywhere is done where its journal says so: what is left of it is due again, and what rests on the rest goes
 * on. Nobody wants one that was cancelled.
 */
function byRepository(run: PastRun, entries: readonly JournalEntry[]): readonly PastRun[] {
  if (run.repositories.length < 2 || (run.state.kind !== 'failed' && run.state.kind !== 'interrupted')) return [run];
  const ends = new Map(entries.flatMap((entry) => (entry.kind === 'step-finished' ? [[entry.step, entry.at] as const] : [])));
  const endOf = (repository: RepositoryName) => ends.get(takeBackupStepId(repository));
  const done = run.repositories.flatMap((repository): PastRun[] => {
    const endedAt = endOf(repository);
    return endedAt === undefined ? [] : [{ ...run, repositories: [repository], state: { kind: 'succeeded', endedAt } }];
  });
  const left = run.repositories.filter((repository) => endOf(repository) === undefined);
  return left.length === 0 ? [run] : [...done, { ...run, repositories: left }];
}

function pastRunOf({ header, entries }: StoredRun, alive: ReadonlySet<RunId>): PastRun {
  const { type, repositories } = header.intent as { readonly type?: BackupType; readonly repositories?: readonly RepositoryName[] };
  return {
    runId: header.runId,
    kind: header.verb as ScheduleKind,
    ...(type === undefined ? {} : { type }),
    repositories: repositories ?? [],
    trigger: header.trigger,
    startedAt: header.startedAt,
    attempts: Math.max(1, entries.filter((entry) => entry.kind === 'attempt').length),
    state: alive.has(header.runId) ? { kind: 'running' } : stateOf(entries),
  };
}

function stateOf(entries: readonly JournalEntry[]): RunState {
  const last = entries.findLast((entry) => entry.kind === 'run-finished' || entry.kind === 'attempt');
  if (last?.kind !== 'run-finished') return { kind: 'interrupted' };
  if (last.outcome === 'succeeded') return { kind: 'succeeded', endedAt: last.at };
  const code = codeOf(last.result);
  // Asked to end, as a daemon is before its machine goes down: nobody said that the work is not wanted.
  if (code === 'TERMINATED') return { kind: 'interrupted' };
  if (last.outcome === 'cancelled') return { kind: 'cancelled', endedAt: last.at };
  return { kind: 'failed', endedAt: last.at, code, retry: ERROR_KINDS[code].retry };
}

/** Of the error that ended the run, or of the first step that failed; where there is neither, a repository could not be read. */
function codeOf(result: unknown): ErrorCode {
  const { code, failures } = (result ?? {}) as { readonly code?: unknown; readonly failures?: readonly { readonly code?: unknown }[] };
  const found = code ?? failures?.[0]?.code ?? 'REPOSITORY_UNAVAILABLE';
  return typeof found === 'string' && Object.hasOwn(ERROR_KINDS, found) ? (found as ErrorCode) : 'INTERNAL';
}
