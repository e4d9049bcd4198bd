import type { StoredRun } from '../../ports/run-store.ts';
import type { ReseedIntent } from '../reseed/intent.ts';

/** The notes by which the restore of a cluster goes on from one stage to the next. */
export const PRIMARY_IS_BACK = 'the primary is back';
export const STANDBY_DECIDED = 'it was decided how a standby comes back';
export const STANDBY_IS_BACK = 'a standby is back';

/** What was decided of a standby once its primary served again; null: it follows by itself. Plain JSON. */
export interface DecidedStandby {
  readonly node: string;
  readonly reseed: ReseedIntent | null;
}

/** How far the run has come, by its journal. */
export interface ClusterStages {
  readonly primaryIsBack: boolean;
  readonly decided: readonly DecidedStandby[];
  /** Nodes that are through. */
  readonly back: readonly string[];
}

export function stagesOf({ entries }: Pick<StoredRun, 'entries'>): ClusterStages {
  const details = (message: string) =>
    entries.flatMap((entry) => (entry.kind === 'note' && entry.message === message ? [entry.detail] : []));
  return {
    primaryIsBack: details(PRIMARY_IS_BACK).length > 0,
    decided: details(STANDBY_DECIDED).map((detail) => detail as DecidedStandby),
    back: details(STANDBY_IS_BACK).map((detail) => (detail as { readonly node: string }).node),
  };
}

/** A step of the plan of one standby by the name that it has in the plan of all. */
export function idFor(node: string, id: string): string {
  return `${id} ${node}`;
}

/** The run as one standby's own would look: its steps alone, by their own names. */
export function runOfStandby(node: string, { header, entries }: StoredRun): StoredRun {
  const suffix = idFor(node, '');
  return {
    header,
    entries: entries
      .filter((entry) => !('step' in entry) || entry.step.endsWith(suffix))
      .map((entry) => ('step' in entry ? { ...entry, step: entry.step.slice(0, -suffix.length) } : entry)),
  };
}
