import type { BaseBackup } from '../../domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../domain/catalog/repository-snapshot.ts';
import { parsePostgresTimestamp } from '../../domain/time/instant.ts';
import type { JournalEntry, RunHeader, RunId, StoredRun } from '../../ports/run-store.ts';
import type { BackupIntent } from '../backup/plan.ts';
import { endOf } from './judge.ts';

const RUN_ANNOTATION = 'spoke-run';
const BACKUP_RUN = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z-backup-[a-z0-9]{1,16}$/;
const UNKNOWN = 'unknown';

/** Marks the intent of a run that was rebuilt. */
interface RebuiltIntent extends BackupIntent {
  readonly rebuilt: true;
}

/**
 * The runs that the catalogues know and the history does not: each backup is annotated with the run that took it, so that
 * what was taken is known again where the state directory was lost. Pure.
 */
export function runsToRebuild(
  cluster: string,
  snapshots: readonly RepositorySnapshot[],
  known: readonly StoredRun[],
): readonly StoredRun[] {
  const complete = new Set<string>(known.filter((run) => !isHalfRebuilt(run)).map((run) => run.header.runId));
  const taken = new Map<string, BaseBackup[]>();
  for (const backup of snapshots.flatMap((snapshot) => snapshot.backups)) {
    const runId = backup.annotations[RUN_ANNOTATION];
    if (runId === undefined || !BACKUP_RUN.test(runId) || complete.has(runId)) continue;
    taken.set(runId, [...(taken.get(runId) ?? []), backup]);
  }
  return [...taken].map(([runId, backups]) => rebuilt(cluster, runId as RunId, backups)).sort(byId);
}

/** A rebuilding that was cut off left it. */
export function isHalfRebuilt(run: StoredRun): boolean {
  const intent: unknown = run.header.intent;
  return typeof intent === 'object' && intent !== null && 'rebuilt' in intent && endOf(run) === undefined;
}

function rebuilt(cluster: string, runId: RunId, backups: readonly BaseBackup[]): StoredRun {
  const [first] = backups;
  const startedAt = parsePostgresTimestamp(runId.replace(BACKUP_RUN, '$1-$2-$3 $4:$5:$6+00'));
  const repositories = backups.map((backup) => backup.repository);
  const intent: RebuiltIntent = { cluster, type: first?.type ?? 'full', repositories, rebuilt: true };
  const header: RunHeader = {
    ...{ runId, verb: 'backup', cluster, startedAt, intent },
    ...{ host: UNKNOWN, user: UNKNOWN, programVersion: UNKNOWN },
    // As of every run that does not tell: no schedule takes it for one of its own.
    trigger: { kind: 'manual' },
  };
  const ends = backups.map((backup) => backup.stopTime).sort((left, right) => (left < right ? -1 : 1));
  const at = ends.at(-1) ?? startedAt;
  const entries: readonly JournalEntry[] = [
    ...backups.map(({ repository, label, stopTime }): JournalEntry => {
      const step = `take-backup:${repository}`;
      return { at: stopTime, kind: 'step-finished', step, seconds: 0, result: { repository, label } };
    }),
    { at, kind: 'note', message: 'rebuilt from the catalogues of the repositories', detail: {} },
    { at, kind: 'run-finished', outcome: 'succeeded', result: { failures: [] } },
  ];
  return { header, entries };
}

function byId(left: StoredRun, right: StoredRun): number {
  return left.header.runId < right.header.runId ? -1 : 1;
}
