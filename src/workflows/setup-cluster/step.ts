import type { SetupStep } from '../../plan/setup-steps.ts';
import type { Step, StepBase } from '../../plan/step.ts';

const MINUTE_MS = 60_000;

/** What people read of a step. */
export interface StepWords {
  readonly id: string;
  readonly title: string;
  readonly reason: string;
  readonly probe: string;
  readonly effect?: StepBase['effect'];
  readonly timeoutMs?: number;
}

/** A step of a set-up; each of them may be done again. */
export function setupStep(words: StepWords, step: SetupStep): Step {
  return { effect: 'write', timeoutMs: MINUTE_MS, retry: 'transient', onFailure: 'stop', ...words, ...step };
}
