import { SpokeError } from '../errors.ts';
import type { OperationContext } from '../ports/operation.ts';
import type { RunProcess, StoredRun } from '../ports/run-store.ts';
import { endOf, isResumable } from '../workflows/runs/judge.ts';
import { acquireClaim, type ClaimContext, type Workflow } from './execute-run.ts';

const POLL_MS = 100;
/** An engine's process may take its time to end, and cleaning up a minute more. */
const PATIENCE_MS = 3 * 60_000;

/** What cancelling came to. */
export interface Cancelled {
  /** The process that was asked to end; undefined where none worked on the run. */
  readonly stopped?: { readonly pid: number; readonly seconds: number };
  /** `abandoned`: it will not be resumed. `succeeded`: it was through before it could be stopped. */
  readonly outcome: 'abandoned' | 'succeeded';
}

/**
 * Ends a run for good: asks the process that works on it to stop, waits, and writes down that it shall not go on.
 * Throws REFUSED_PRECONDITION where it has ended already or may only be resumed, LOCKED where its process cannot be reached,
 * TIMED_OUT where it does not stop.
 */
export async function cancelRun<Intent, Facts>(
  run: StoredRun,
  workflow: Workflow<Intent, Facts>,
  context: ClaimContext,
): Promise<Cancelled> {
  const { runId } = run.header;
  if (!isResumable(run)) throw new SpokeError('REFUSED_PRECONDITION', `run ${runId} has ended already: ${endOf(run)?.outcome ?? ''}`);
  await requireAbandonable(run, workflow, context);
  const found = await context.ports.runProcesses.find(runId);
  const stopped = found === undefined ? undefined : await stop(run, found, context);
  const outcome = await abandon(run, workflow, context);
  return { ...(stopped === undefined ? {} : { stopped }), outcome };
}

async function requireAbandonable<Intent, Facts>(run: StoredRun, workflow: Workflow<Intent, Facts>, { signal }: OperationContext) {
  const refusal = await workflow.reasonAgainstAbandoning?.(run.header.intent as Intent, run, { signal });
  if (refusal !== undefined) throw refusal;
}

/** By a request that it finds, and a signal where it works on nothing else. */
async function stop({ header: { runId } }: StoredRun, process: RunProcess, { ports, signal }: ClaimContext) {
  if (process.place === 'elsewhere')
    throw new SpokeError('LOCKED', `process ${process.pid} on ${process.host} works on ${runId} and cannot be reached from here`, {
      hint: `There: spoke-backup runs cancel ${runId}`,
    });
  const startedMs = ports.clock.monotonicMs();
  await ports.runWriter.requestCancel(runId, true);
  try {
    if (!process.isService) await ports.runProcesses.terminate(runId);
    while ((await ports.runProcesses.find(runId)) !== undefined) {
      if (ports.clock.monotonicMs() - startedMs > PATIENCE_MS) throw doesNotStop(runId, process);
      await ports.clock.sleep(POLL_MS, signal);
    }
  } finally {
    await ports.runWriter.requestCancel(runId, false);
  }
  return { pid: process.pid, seconds: (ports.clock.monotonicMs() - startedMs) / 1000 };
}

function doesNotStop(runId: string, { pid }: RunProcess): SpokeError {
  return new SpokeError('TIMED_OUT', `process ${pid} still works on ${runId}, ${PATIENCE_MS / 1000} s after it was asked to stop`, {
    hint: `See what it does: spoke-backup runs show ${runId}`,
  });
}

/** Under the claim of the run, so that nobody resumes it meanwhile, and looked at once more for what it did until it stopped. */
async function abandon<Intent, Facts>(
  { header }: StoredRun,
  workflow: Workflow<Intent, Facts>,
  context: ClaimContext,
): Promise<Cancelled['outcome']> {
  const { ports } = context;
  const held = await acquireClaim(workflow, header, context);
  const limits: OperationContext = { signal: AbortSignal.any([context.signal, held.lost]) };
  try {
    const run = await ports.runs.read(header.runId);
    if (endOf(run)?.outcome === 'succeeded') return 'succeeded';
    await requireAbandonable(run, workflow, limits);
    held.ensureGood();
    await workflow.abandon?.(header.intent as Intent, run, limits);
    held.ensureGood();
    const result = { code: 'CANCELLED', message: 'given up by runs cancel', isFinal: true };
    await ports.runWriter.append(header.runId, { at: ports.clock.now(), kind: 'run-finished', outcome: 'cancelled', result });
    return 'abandoned';
  } finally {
    await held.release();
  }
}
