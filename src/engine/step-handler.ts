import type { StepKind, StepOf } from '../plan/step.ts';
import type { CommandPreview } from '../ports/backup-engine.ts';
import type { OperationContext } from '../ports/operation.ts';

/** Plain JSON: it goes into the journal. */
export type StepResult = Readonly<Record<string, unknown>>;

/** How one kind of step is shown and done. */
export interface StepHandler<K extends StepKind> {
  /** Pure: the commands that `run` would start or the statements it would send, without secrets. */
  preview(step: StepOf<K>): readonly CommandPreview[];
  /** Does it, or finds it done: running it twice is as good as once. */
  run(step: StepOf<K>, context: OperationContext): Promise<StepResult>;
}

/** A handler for every kind of step. */
export type StepHandlers = { readonly [K in StepKind]: StepHandler<K> };
