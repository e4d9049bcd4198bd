import type { ClusterConfig } from '../config/model.ts';
import { executeRun, type ExecutionContext } from '../engine/execute-run.ts';
import type { PlanOutcome } from '../engine/run-plan.ts';
import { backupWorkflow, expireWorkflow, verifyWorkflow } from '../engine/simple-workflows.ts';
import { asSpokeError, SpokeError } from '../errors.ts';
import type { JournalEntry, RunHeader, RunId } from '../ports/run-store.ts';
import type { RunEnd } from './cluster-work.ts';

/** Runs, or goes on with, a run of a verb that schedules know. Never throws. */
export async function runVerb(header: RunHeader, cluster: ClusterConfig, context: ExecutionContext): Promise<RunEnd> {
  const { runId } = header;
  try {
    const { failures } = await execute(header, cluster, context);
    const [first] = failures;
    if (first !== undefined) return { runId, outcome: 'failed', error: shown(first.error) };
    // Also where every step succeeded: one of its repositories could not be read, say.
    const { entries } = await context.ports.runs.read(runId);
    return endOf(runId, entries);
  } catch (thrown) {
    const error = asSpokeError(thrown);
    const wasStopped = ['CANCELLED', 'TERMINATED', 'LEASE_LOST'].includes(error.code);
    return { runId, outcome: wasStopped ? 'cancelled' : 'failed', error: shown(error) };
  }
}

function endOf(runId: RunId, entries: readonly JournalEntry[]): RunEnd {
  const last = entries.findLast((entry) => entry.kind === 'run-finished');
  if (last?.kind === 'run-finished' && last.outcome === 'succeeded') return { runId, outcome: 'succeeded' };
  const message = 'not everything could be done: a repository could not be read';
  return { runId, outcome: 'failed', error: shown(new SpokeError('REPOSITORY_UNAVAILABLE', message)) };
}

function execute(header: RunHeader, cluster: ClusterConfig, context: ExecutionContext): Promise<PlanOutcome> {
  const { ports } = context;
  switch (header.verb) {
    case 'backup':
      return executeRun(backupWorkflow(cluster, ports), header, context);
    case 'expire':
      return executeRun(expireWorkflow(cluster, ports), header, context);
    case 'verify':
      return executeRun(verifyWorkflow(cluster, ports), header, context);
    default:
      throw new SpokeError('INTERNAL', `no schedule runs a ${header.verb}`);
  }
}

function shown({ code, message, hint }: SpokeError): NonNullable<RunEnd['error']> {
  return { code, message, hint };
}
