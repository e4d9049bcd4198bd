import type { DueRun } from './due-run.ts';
import type { EnginesByRepository } from './engine-facts.ts';

/**
 * Makes one run of backups that one reading of the database serves: of the same occurrence (or due early for the same reason) and the same
 * type, into repositories whose engine can; and one of what is left of the same run. The first keeps its place. Each is of one repository.
 */
export function gatherBackups(due: readonly DueRun[], engines: EnginesByRepository): readonly DueRun[] {
  const gathered: DueRun[] = [];
  const places = new Map<string, number>();
  for (const run of due) {
    const key = keyOf(run, engines);
    const place = key === undefined ? undefined : places.get(key);
    const first = place === undefined ? undefined : gathered[place];
    if (place !== undefined && first !== undefined) {
      gathered[place] = { ...first, repositories: [...first.repositories, ...run.repositories] };
      continue;
    }
    if (key !== undefined) places.set(key, gathered.length);
    gathered.push(run);
  }
  return gathered;
}

/** What one run can do has the same key; undefined where it is done alone. */
function keyOf({ kind, type, trigger, repositories, resumes }: DueRun, engines: EnginesByRepository): string | undefined {
  if (kind !== 'backup') return undefined;
  if (resumes !== undefined) return `resumes ${resumes.runId}`;
  const [only] = repositories;
  const together = only === undefined ? undefined : engines.get(only)?.together;
  if (together === undefined) return undefined;
  switch (trigger.kind) {
    case 'schedule':
      return `${together}|${String(type)}|${trigger.name}|${trigger.occurrence}`;
    case 'early':
      return `${together}|${String(type)}|${trigger.reason}`;
    case 'manual':
      return undefined;
  }
}
