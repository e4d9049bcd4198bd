import type { ChangePrimaryStep } from '../../plan/change-primary-steps.ts';
import type { SetupStep } from '../../plan/setup-steps.ts';
import type { Step, StepBase } from '../../plan/step.ts';

const MINUTE_MS = 60_000;

/** What people read of a step, and what differs from the usual. */
export type StepWords = Pick<StepBase, 'id' | 'title' | 'reason' | 'probe'> &
  Partial<Pick<StepBase, 'effect' | 'timeoutMs' | 'retry' | 'onFailure' | 'on'>>;

export function changeStep(words: StepWords, step: ChangePrimaryStep | SetupStep): Step {
  return { effect: 'write', timeoutMs: MINUTE_MS, retry: 'transient', onFailure: 'stop', ...words, ...step };
}
