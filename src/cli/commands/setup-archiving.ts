import { withPreviewsOfHosts } from '../../engine/on-hosts.ts';
import { setupArchivingWorkflow } from '../../engine/simple-workflows.ts';
import type { RunHeader } from '../../ports/run-store.ts';
import { interruptsService, type SetupArchivingIntent } from '../../workflows/setup-archiving/plan.ts';
import { requireConfirmation } from '../confirm.ts';
import { execute } from '../execute.ts';
import type { ChangingOptions, CommandContext } from '../command-context.ts';
import { planToJson, renderPlan } from '../render/plan.ts';
import { newRunHeader, openSession, type Session } from '../session.ts';

/** `spoke-backup setup archiving` */
export async function setupArchivingCommand(options: ChangingOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  const intent: SetupArchivingIntent = { cluster: session.cluster.name, restartAllowed: options.confirm === session.cluster.name };
  const workflow = setupArchivingWorkflow(session.cluster, session.ports);
  const runId = session.newRunId('setup-archiving');
  const header = newRunHeader(session, 'setup-archiving', intent, context.version, runId);
  const plan = workflow.plan(intent, await workflow.observe(intent, { header, entries: [] }, { signal: context.signal }), runId);
  const handlers = await withPreviewsOfHosts(plan, session.handlers, session.ports.hosts, { signal: context.signal });
  if (options.dryRun === true) {
    context.output.result({ dryRun: true, plan: planToJson(plan, handlers) }, () => renderPlan(plan, handlers, { full: true }));
    return;
  }
  context.output.say(renderPlan(plan, handlers, { full: true }));
  if (interruptsService(plan))
    await requireConfirmation('Restarting the primary', session.cluster.name, options, context.output, context.signal);
  await runSetupArchiving(header, session, context);
}

/** Runs or resumes the set-up and prints what came of it. */
export async function runSetupArchiving(header: RunHeader, session: Session, context: CommandContext): Promise<void> {
  const outcome = await execute(setupArchivingWorkflow(session.cluster, session.ports), header, session, context);
  const steps = [...outcome.results.keys()];
  const isProven = outcome.results.has('check-archiving');
  if (!isProven) context.output.exitCode = 3;
  const proof = isProven
    ? 'reaches every repository (checked just now)'
    : 'does not reach the repositories yet: spoke-backup setup patroni';
  context.output.result({ run: header.runId, steps, isProven }, () => `WAL of ${session.cluster.name} ${proof}`);
}
