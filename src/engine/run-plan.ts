import { asSpokeError, type SpokeError } from '../errors.ts';
import type { Plan, Step, StepOf } from '../plan/step.ts';
import type { Clock } from '../ports/clock.ts';
import type { JournalEntry, RunId, RunWriter } from '../ports/run-store.ts';
import type { EventSink } from '../telemetry/events.ts';
import type { StepHandler, StepHandlers, StepResult } from './step-handler.ts';

const MOST_ATTEMPTS = 4;
const FIRST_DELAY_MS = 500;

/** What the engine needs beside the plan. */
export interface EngineContext {
  readonly runId: RunId;
  readonly handlers: StepHandlers;
  readonly journal: RunWriter;
  readonly clock: Clock;
  readonly emit: EventSink;
  readonly signal: AbortSignal;
  /** Throws where nothing more may be begun. */
  beforeStep?(): void;
}

/** A step that did not do what it was to do, where the rest went on. */
export interface StepFailure {
  readonly step: Step;
  readonly error: SpokeError;
}

export interface PlanOutcome {
  /** By step id. */
  readonly results: ReadonlyMap<string, StepResult>;
  readonly failures: readonly StepFailure[];
}

/**
 * Runs the steps in their order: each is journalled before it starts and after it ended, so that whatever dies
 * half-way has left evidence. Throws the error of the first step that must not fail.
 */
export async function runPlan(plan: Plan, context: EngineContext): Promise<PlanOutcome> {
  const results = new Map<string, StepResult>();
  const failures: StepFailure[] = [];
  context.emit({ kind: 'plan-made', runId: context.runId, steps: plan.steps, warnings: plan.warnings });
  for (const [index, step] of plan.steps.entries()) {
    throwIfCancelled(context.signal);
    context.beforeStep?.();
    context.emit({ kind: 'step-started', runId: context.runId, step, index, count: plan.steps.length });
    try {
      results.set(step.id, await runJournalled(step, context));
    } catch (thrown) {
      const error = asSpokeError(thrown);
      await recordFailure(step, error, context);
      throwIfCancelled(context.signal);
      if (step.onFailure === 'stop') throw error;
      failures.push({ step, error });
    }
  }
  return { results, failures };
}

async function runJournalled(step: Step, context: EngineContext): Promise<StepResult> {
  await journal(context, { at: context.clock.now(), kind: 'step-started', step: step.id, detail: { step: step.kind, title: step.title } });
  const startedMs = context.clock.monotonicMs();
  const result = await runWithRetries(step, context);
  const seconds = (context.clock.monotonicMs() - startedMs) / 1000;
  await journal(context, { at: context.clock.now(), kind: 'step-finished', step: step.id, seconds, result });
  context.emit({ kind: 'step-finished', runId: context.runId, step, seconds });
  return result;
}

async function runWithRetries(step: Step, context: EngineContext): Promise<StepResult> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await runOnce(step, context);
    } catch (thrown) {
      const error = asSpokeError(thrown);
      const again = step.retry === 'transient' && error.retry === 'transient' && attempt < MOST_ATTEMPTS && !context.signal.aborted;
      if (!again) throw error;
      const delayMs = FIRST_DELAY_MS * 2 ** (attempt - 1) * (0.75 + Math.random() / 2);
      context.emit({ kind: 'step-retried', runId: context.runId, step, attempt, delayMs, message: error.message });
      await context.clock.sleep(delayMs, context.signal);
    }
  }
}

function runOnce<S extends Step>(step: S, context: EngineContext): Promise<StepResult> {
  const handler = context.handlers[step.kind] as StepHandler<S['kind']>;
  return handler.run(step as unknown as StepOf<S['kind']>, {
    signal: context.signal,
    timeoutMs: step.timeoutMs,
    onProgress: (progress) => context.emit({ kind: 'step-progress', runId: context.runId, step, progress }),
  });
}

/** A journal that cannot be written must not hide what went wrong: the next step finds it out. */
async function recordFailure(step: Step, error: SpokeError, context: EngineContext): Promise<void> {
  const { runId } = context;
  context.emit({ kind: 'step-failed', runId, step, code: error.code, message: error.message });
  try {
    const { code, message, details } = error;
    const entry = { at: context.clock.now(), kind: 'step-failed', step: step.id, code, message } as const;
    await journal(context, Object.keys(details).length === 0 ? entry : { ...entry, details });
  } catch (thrown) {
    context.emit({ kind: 'note', runId, level: 'warning', message: `the journal cannot be written: ${asSpokeError(thrown).message}` });
  }
}

function journal(context: EngineContext, entry: JournalEntry): Promise<void> {
  return context.journal.append(context.runId, entry);
}

function throwIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw asSpokeError(signal.reason);
}
