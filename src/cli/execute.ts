import { hostname } from 'node:os';
import { executeRun, type Workflow } from '../engine/execute-run.ts';
import type { PlanOutcome } from '../engine/run-plan.ts';
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
  const emit = fanOut(await sinks(session, context), (fault) => context.output.warn(`a report was lost: ${String(fault)}`));
  const { ports, handlers, waitMs } = session;
  const { signal } = context;
  return executeRun(workflow, header, { ports, handlers, emit, signal, pid: process.pid, ...(waitMs !== undefined && { waitMs }) });
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
