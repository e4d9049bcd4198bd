import type { ErrorCode } from '../errors.ts';
import type { Step } from '../plan/step.ts';
import type { Progress } from '../ports/operation.ts';
import type { RunId, RunOutcome } from '../ports/run-store.ts';

/** Everything that a run says while it works. Sinks turn it into log lines, progress, metrics. */
export type RunEvent =
  | { readonly kind: 'run-started'; readonly runId: RunId; readonly title: string; readonly resumed: boolean }
  | { readonly kind: 'plan-made'; readonly runId: RunId; readonly steps: readonly Step[]; readonly warnings: readonly string[] }
  | { readonly kind: 'step-started'; readonly runId: RunId; readonly step: Step; readonly index: number; readonly count: number }
  | { readonly kind: 'step-progress'; readonly runId: RunId; readonly step: Step; readonly progress: Progress }
  | {
      readonly kind: 'step-retried';
      readonly runId: RunId;
      readonly step: Step;
      readonly attempt: number;
      readonly delayMs: number;
      readonly message: string;
    }
  | { readonly kind: 'step-finished'; readonly runId: RunId; readonly step: Step; readonly seconds: number }
  | {
      readonly kind: 'step-failed';
      readonly runId: RunId;
      readonly step: Step;
      readonly code: ErrorCode;
      readonly message: string;
    }
  | { readonly kind: 'note'; readonly runId: RunId; readonly level: 'info' | 'warning'; readonly message: string }
  | { readonly kind: 'run-finished'; readonly runId: RunId; readonly outcome: RunOutcome };

/** Takes events and returns nothing: what it does with them cannot change the run. */
export type EventSink = (event: RunEvent) => void;

/** One sink that hands each event to all, and keeps a fault of one from the others and from the run. */
export function fanOut(sinks: readonly EventSink[], onFault: (fault: unknown) => void): EventSink {
  return (event) => {
    for (const sink of sinks) {
      try {
        sink(event);
      } catch (fault) {
        onFault(fault);
      }
    }
  };
}
