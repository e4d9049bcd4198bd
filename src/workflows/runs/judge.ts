import type { Instant } from '../../domain/time/instant.ts';
import type { RunOutcome, StoredRun } from '../../ports/run-store.ts';

/** How a run ended. */
export interface RunEnd {
  readonly outcome: RunOutcome;
  readonly at: Instant;
  /** Somebody decided that it shall not go on. */
  readonly isFinal: boolean;
}

/** Undefined while it runs, and where its process died without a word: later attempts undo earlier ends. */
export function endOf({ entries }: Pick<StoredRun, 'entries'>): RunEnd | undefined {
  const last = entries.findLast((entry) => entry.kind === 'run-finished' || entry.kind === 'attempt');
  if (last?.kind !== 'run-finished') return undefined;
  const { result } = last;
  const isFinal = typeof result === 'object' && result !== null && 'isFinal' in result && result.isFinal === true;
  return { outcome: last.outcome, at: last.at, isFinal };
}

/** Whether it can go on where it stopped. */
export function isResumable(run: StoredRun): boolean {
  const end = endOf(run);
  return end === undefined || (end.outcome !== 'succeeded' && !end.isFinal);
}

/** Whether data directories may have been renamed already, and nothing has said that all is in its place. */
export function hasBegunSwap(run: StoredRun): boolean {
  const begun = run.entries.some((entry) => entry.kind === 'step-started' && entry.step.startsWith('swap-data-directory'));
  return begun && endOf(run)?.outcome !== 'succeeded';
}

/** The repositories that a run was about; none where it was not about any in particular. */
export function repositoriesOf({ header }: StoredRun): readonly string[] {
  const intent: unknown = header.intent;
  const found: unknown = typeof intent === 'object' && intent !== null ? Reflect.get(intent, 'repositories') : undefined;
  return Array.isArray(found) ? found.filter((one): one is string => typeof one === 'string') : [];
}
