import { instanceOf } from '../../workflows/hosts.ts';
import { observeForRestore } from '../../workflows/restore/observe.ts';
import { decideRestore } from '../../workflows/restore/decide.ts';
import { observeRestore } from '../../workflows/restore/facts.ts';
import type { RestoreIntent } from '../../workflows/restore/intent.ts';
import { planRestore } from '../../workflows/restore/plan.ts';
import { withPreviewsOfHosts } from '../../engine/on-hosts.ts';
import { restoreWorkflow } from '../../engine/restore-workflow.ts';
import type { RunHeader } from '../../ports/run-store.ts';
import { requireConfirmation } from '../confirm.ts';
import { execute } from '../execute.ts';
import type { CommandContext } from '../command-context.ts';
import { planToJson } from '../render/plan.ts';
import { intentToJson, renderRestorePlan, renderRestoreResult, restoreResult } from '../render/restore.ts';
import { type RestoreOptions, restoreRequestOf } from '../restore-options.ts';
import { newRunHeader, openSession, type Session } from '../session.ts';

/** `spoke-backup restore` */
export async function restoreCommand(options: RestoreOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  const operation = { signal: context.signal };
  const runId = session.newRunId('restore');
  const request = await restoreRequestOf(options, session, runId, context);
  const intent = decideRestore(request, await observeForRestore(request, session.ports, operation));
  const header = newRunHeader(session, 'restore', intent, context.version, runId);
  const facts = await observeRestore(intent, { header, entries: [] }, session.ports, operation);
  const plan = planRestore(intent, facts, runId);
  const handlers = await withPreviewsOfHosts(plan, session.handlers, session.ports.hosts, operation);
  const now = session.ports.clock.now();
  const shown = renderRestorePlan(intent, plan, handlers, {
    now,
    timezone: session.configuration.timezone,
    full: options.dryRun === true || context.output.verbose,
  });
  if (options.dryRun === true) {
    context.output.result({ dryRun: true, ...intentToJson(intent), plan: planToJson(plan, handlers) }, () => shown);
    return;
  }
  context.output.say(shown);
  if (intent.oldDataDirectory !== null)
    await requireConfirmation(`Replacing ${intent.dataDirectory}`, session.cluster.name, options, context.output, context.signal);
  await runRestore(header, session, context);
}

/** Runs or resumes a restore and prints what came of it. */
export async function runRestore(header: RunHeader, session: Session, context: CommandContext): Promise<void> {
  await execute(restoreWorkflow(session.ports), header, session, context);
  const intent = header.intent as RestoreIntent;
  const operation = { signal: context.signal };
  const restored = await (await instanceOf(intent.inPlaceNode, session.ports, operation)).inspectDirectory(intent.dataDirectory, operation);
  const result = restoreResult(intent, await session.ports.runs.read(header.runId), restored);
  context.output.result({ ...result }, () => renderRestoreResult(result, session.configuration.timezone));
}
