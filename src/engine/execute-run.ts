import type { Claim } from '../domain/concurrency/matrix.ts';
import { asSpokeError, SpokeError } from '../errors.ts';
import type { Plan } from '../plan/step.ts';
import type { ReadPorts, WritePorts } from '../ports/bundle.ts';
import type { OperationContext } from '../ports/operation.ts';
import type { RunHeader, RunId, RunOutcome, StoredRun } from '../ports/run-store.ts';
import type { EventSink } from '../telemetry/events.ts';
import { endOf } from '../workflows/runs/judge.ts';
import { acquireLeases, type HeldLeases } from './leases.ts';
import { type PlanOutcome, runPlan } from './run-plan.ts';
import type { StepHandlers } from './step-handler.ts';

/** A verb as the engine sees it. Observing and planning are the workflow's; effects are the handlers'. */
export interface Workflow<Intent, Facts> {
  readonly title: string;
  /** What it works on: nothing that conflicts with it (domain/concurrency/matrix) runs meanwhile. */
  claim(intent: Intent, context: OperationContext): RunClaim | Promise<RunClaim>;
  observe(intent: Intent, run: StoredRun, context: OperationContext): Promise<Facts>;
  /** Pure. What remains to be done. */
  plan(intent: Intent, facts: Facts, runId: string): Plan;
  /** After a failure: what to note in the journal so that planning again takes another way; undefined where there is none. */
  otherWay?(intent: Intent, facts: Facts, error: SpokeError): readonly RunNote[] | undefined;
  /** For people: what is done then. */
  readonly otherWayWords?: string;
  /**
   * After a plan that was carried out: what to note in the journal so that planning again gives what comes next; undefined where that was
   * all. For what can only be decided of a world that the steps before have made.
   */
  whatFollows?(intent: Intent, run: StoredRun, context: OperationContext): Promise<readonly RunNote[] | undefined>;
  /** What a run is called that went through its whole plan; left out, it has succeeded. Any other can be resumed. */
  outcomeOf?(facts: Facts, outcome: PlanOutcome): RunOutcome;
  /** After the last failure, or a cancellation: ends what still runs, removes what can never be resumed. */
  cleanUp?(intent: Intent, error: SpokeError, context: OperationContext, runId: RunId): Promise<void>;
  /** Why the run may only be resumed and not be given up; undefined where it may. */
  reasonAgainstAbandoning?(intent: Intent, run: StoredRun, context: OperationContext): Promise<SpokeError | undefined>;
  /** Removes what a run that is given up has left, where nothing else needs it, and puts back what it has taken away. */
  abandon?(intent: Intent, run: StoredRun, context: OperationContext): Promise<void>;
}

/** What planning again goes by. */
export interface RunNote {
  readonly message: string;
  readonly detail: unknown;
}

/** The cluster and the host are those of the run. */
export type RunClaim = Omit<Claim, 'cluster' | 'host'>;

export interface ExecutionContext {
  readonly ports: ReadPorts & WritePorts;
  readonly handlers: StepHandlers;
  readonly emit: EventSink;
  readonly signal: AbortSignal;
  readonly pid: number;
  /** How long to queue behind whoever is in the way; not at all where it is not given. */
  readonly waitMs?: number;
}

const CLEAN_UP_LIMIT_MS = 60_000;

/** Runs a run to its end: new where it has no journal yet, resumed where it has. Throws the error that ended it. */
export async function executeRun<Intent, Facts>(
  workflow: Workflow<Intent, Facts>,
  header: RunHeader,
  context: ExecutionContext,
): Promise<PlanOutcome> {
  const held = await acquireClaim(workflow, header, context);
  const signal = AbortSignal.any([context.signal, held.lost]);
  try {
    return await executeLocked(workflow, header, { ...context, signal, ensureGood: () => held.ensureGood() });
  } finally {
    await noting('a lock was not released', header, context, () => held.release());
  }
}

/** What claiming needs of the context. */
export type ClaimContext = Omit<ExecutionContext, 'handlers'>;

/** Takes what the run works on, as its workflow says. Throws LOCKED with the holder where another has it (after `waitMs`). */
export async function acquireClaim<Intent, Facts>(
  workflow: Workflow<Intent, Facts>,
  header: RunHeader,
  context: ClaimContext,
): Promise<HeldLeases> {
  const { ports, signal, pid, emit, waitMs } = context;
  const { runId, cluster, host } = header;
  const claim = await workflow.claim(header.intent as Intent, { signal });
  const holder = { name: runId, pid, host, since: ports.clock.now() };
  return acquireLeases({ ...claim, cluster, host }, holder, {
    stores: ports.leases,
    clock: ports.clock,
    signal,
    say: (level, message) => emit({ kind: 'note', runId, level, message }),
    ...(waitMs !== undefined && { waitMs }),
  });
}

interface LockedContext extends ExecutionContext {
  ensureGood(): void;
}

async function executeLocked<Intent, Facts>(
  workflow: Workflow<Intent, Facts>,
  header: RunHeader,
  context: LockedContext,
): Promise<PlanOutcome> {
  const { ports, emit } = context;
  const { runId } = header;
  const resumed = await ensureCreated(header, context);
  emit({ kind: 'run-started', runId, title: workflow.title, resumed });
  await ports.runWriter.append(runId, { at: ports.clock.now(), kind: 'attempt', pid: context.pid, detail: { resumed } });
  try {
    const { facts, outcome } = await untilThereIsNoOtherWay(workflow, header, context);
    await finish(
      header,
      workflow.outcomeOf?.(facts, outcome) ?? 'succeeded',
      { failures: outcome.failures.map(({ step, error }) => ({ step: step.id, code: error.code, message: error.message })) },
      context,
    );
    return outcome;
  } catch (thrown) {
    const error = errorOfRun(thrown, runId, context.signal);
    // A signal of its own: the cancelled one would end it at once.
    const limits = { signal: AbortSignal.timeout(CLEAN_UP_LIMIT_MS), timeoutMs: CLEAN_UP_LIMIT_MS };
    await noting('cleaning up failed', header, context, async () => workflow.cleanUp?.(header.intent as Intent, error, limits, runId));
    const outcome = wasStopped(error) ? 'cancelled' : 'failed';
    const result = { code: error.code, message: error.message };
    await noting('the journal cannot be written', header, context, () => finish(header, outcome, result, context));
    throw error;
  }
}

const RESUME = 'spoke-backup runs resume';

/** The error with the run that it ended, also in the command that goes on with it. */
function errorOfRun(thrown: unknown, runId: string, { aborted, reason }: AbortSignal): SpokeError {
  const found = asSpokeError(thrown);
  // Whoever noticed it may not know which signal it was.
  const error = aborted && wasStopped(found) ? asSpokeError(reason) : found;
  const wasCancelled = error.code === 'CANCELLED' || error.code === 'TERMINATED';
  return withRun(error, runId, wasCancelled ? `Go on with: ${RESUME} ${runId}` : hintOfRun(error, runId));
}

/** By somebody, or because another may have what it works on: it did nothing wrong. */
function wasStopped({ code }: SpokeError): boolean {
  return code === 'CANCELLED' || code === 'TERMINATED' || code === 'LEASE_LOST';
}

/** The same error with the run that it ended, or was a part of, and with the command that goes on with it. */
export function withRun(error: SpokeError, runId: string, hint = hintOfRun(error, runId)): SpokeError {
  return new SpokeError(error.code, error.message, { details: { ...error.details, run: runId }, hint, cause: error.cause ?? error });
}

/** Exit codes of what lies outside, a server, a repository, a tool, a time limit: once that is mended, the run can go on. */
const MENDABLE_EXIT_CODES = [20, 21, 22, 23];

function hintOfRun({ hint, exitCode }: SpokeError, runId: string): string {
  if (hint.endsWith(RESUME)) return `${hint} ${runId}`;
  const isComplete = hint.includes(RESUME) || !MENDABLE_EXIT_CODES.includes(exitCode);
  return isComplete ? hint : `${hint.replace(/\.$/, '')}; then: ${RESUME} ${runId}`;
}

/** Whether it was there already. Throws REFUSED_PRECONDITION where it was given up, which may have been while it queued. */
async function ensureCreated(header: RunHeader, { ports }: ExecutionContext): Promise<boolean> {
  try {
    const run = await ports.runs.read(header.runId);
    if (endOf(run)?.isFinal === true) throw new SpokeError('REFUSED_PRECONDITION', `run ${header.runId} was given up`);
    return true;
  } catch (thrown) {
    if (asSpokeError(thrown).code !== 'RUN_NOT_FOUND') throw thrown;
    await ports.runWriter.create(header);
    return false;
  }
}

async function untilThereIsNoOtherWay<Intent, Facts>(
  workflow: Workflow<Intent, Facts>,
  header: RunHeader,
  context: LockedContext,
): Promise<{ readonly facts: Facts; readonly outcome: PlanOutcome }> {
  const { ports, handlers, emit, signal, ensureGood } = context;
  const { runId } = header;
  const intent = header.intent as Intent;
  const note = async (notes: readonly RunNote[]) => {
    for (const one of notes) await ports.runWriter.append(runId, { at: ports.clock.now(), kind: 'note', ...one });
  };
  const parts: PlanOutcome[] = [];
  for (;;) {
    const facts = await workflow.observe(intent, await ports.runs.read(runId), { signal });
    const plan = workflow.plan(intent, facts, runId);
    try {
      const engine = { runId, handlers, journal: ports.runWriter, clock: ports.clock, emit, signal, beforeStep: ensureGood };
      parts.push(await runPlan(plan, engine));
    } catch (thrown) {
      const error = asSpokeError(thrown);
      const notes = signal.aborted ? undefined : workflow.otherWay?.(intent, facts, error);
      if (notes === undefined) throw error;
      emit({
        kind: 'note',
        runId,
        level: 'warning',
        message: `${error.message}; ${workflow.otherWayWords ?? 'trying another backup or repository'}`,
      });
      await note(notes);
      continue;
    }
    const following = await workflow.whatFollows?.(intent, await ports.runs.read(runId), { signal });
    if (following === undefined) return { facts, outcome: together(parts) };
    await note(following);
  }
}

/** Of the plans that were carried out one after the other. */
function together(parts: readonly PlanOutcome[]): PlanOutcome {
  return { results: new Map(parts.flatMap(({ results }) => [...results])), failures: parts.flatMap(({ failures }) => failures) };
}

/** For what comes after the end: a fault in it does not hide how the run ended. */
async function noting(what: string, { runId }: RunHeader, { emit }: ExecutionContext, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (thrown) {
    emit({ kind: 'note', runId, level: 'warning', message: `${what}: ${asSpokeError(thrown).message}` });
  }
}

async function finish(header: RunHeader, outcome: RunOutcome, result: unknown, { ports, emit }: ExecutionContext): Promise<void> {
  await ports.runWriter.append(header.runId, { at: ports.clock.now(), kind: 'run-finished', outcome, result });
  emit({ kind: 'run-finished', runId: header.runId, outcome });
}
