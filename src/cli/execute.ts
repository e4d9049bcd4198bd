import { hostname } from 'node:os';
import { executeRun, type Workflow } from '../engine/execute-run.ts';
import { keepWithinBounds } from '../engine/history.ts';
import type { PlanOutcome } from '../engine/run-plan.ts';
import { asSpokeError } from '../errors.ts';
import type { RunHeader } from '../ports/run-store.ts';
import { type EventSink, fanOut } from '../telemetry/events.ts';
import { progressSink } from '../telemetry/progress.ts';
import type { CommandContext } from './command-context.ts';
import type { Session } from './session.ts';

/** Runs a run with its progress on stderr. */
export async function execute<Intent, Facts>(
  workflow: Workflow<Intent, Facts>,
  header: RunHeader,
  session: Session,
  context: CommandContext,
): Promise<PlanOutcome> {
  const emit = await eventSink(session, context);
  const { ports, handlers, waitMs } = session;
  const { signal } = context;
  try {
    return await executeRun(workflow, header, { ports, handlers, emit, signal, pid: process.pid, ...(waitMs !== undefined && { waitMs }) });
  } finally {
    await boundHistory(session, context);
  }
}

/** What the engine reports, on stderr. */
export async function eventSink(session: Session, context: CommandContext): Promise<EventSink> {
  return fanOut(await sinks(session, context), (fault) => context.output.warn(`a report was lost: ${String(fault)}`));
}

/** The run's own end is what counts. */
async function boundHistory({ ports, configuration }: Session, { output }: CommandContext): Promise<void> {
  try {
    await keepWithinBounds(ports, configuration.history);
  } catch (thrown) {
    output.warn(`old runs are still there: ${asSpokeError(thrown).message}`);
  }
}

async function sinks(session: Session, { output }: CommandContext): Promise<readonly EventSink[]> {
  if (output.quiet) return [];
  if (output.verbose) return [await (await import('../telemetry/log.ts')).logSink({ cluster: session.cluster.name, host: hostname() })];
  return [
    progressSink({
      write: (text) => process.stderr.write(text),
      live: process.stderr.isTTY === true,
      columns: process.stderr.isTTY ? process.stderr.columns : 80,
      nowMs: () => performance.now(),
    }),
  ];
}
