import { verifyWorkflow } from '../../engine/simple-workflows.ts';
import { SpokeError } from '../../errors.ts';
import type { Plan } from '../../plan/step.ts';
import type { RunHeader } from '../../ports/run-store.ts';
import type { VerifyIntent } from '../../workflows/verify/plan.ts';
import type { ChangingOptions, CommandContext } from '../command-context.ts';
import { execute } from '../execute.ts';
import { planToJson, renderPlan } from '../render/plan.ts';
import { newRunHeader, openSession, repositoryNamed, type Session } from '../session.ts';
import type { WorkReport } from '../work-report.ts';
import { unreadableError } from '../unreadable.ts';

/** `spoke-backup verify` */
export async function verifyCommand(options: ChangingOptions & { readonly repo: string }, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  const { cluster } = session;
  const intent: VerifyIntent = {
    cluster: cluster.name,
    repositories:
      options.repo === 'all' ? cluster.repositories.map((repository) => repository.name) : [repositoryNamed(cluster, options.repo)],
  };
  const header = newRunHeader(session, 'verify', intent, context.version, session.newRunId('verify'));
  if (options.dryRun !== true) return runVerify(header, session, context);
  const plan = await planVerify(header, session, context);
  context.output.result({ dryRun: true, plan: planToJson(plan, session.handlers) }, () =>
    renderPlan(plan, session.handlers, { full: true }),
  );
}

/** What a verification would do. */
export async function planVerify(header: RunHeader, session: Session, { signal }: CommandContext): Promise<Plan> {
  const workflow = verifyWorkflow(session.cluster, session.ports);
  const intent = header.intent as VerifyIntent;
  return workflow.plan(intent, await workflow.observe(intent, { header, entries: [] }, { signal }), header.runId);
}

/** Runs or resumes a verification and prints what came of it. Throws VERIFICATION_FAILED where something is damaged. */
export async function runVerify(header: RunHeader, session: Session, context: CommandContext): Promise<void> {
  const { document, text, isPartial } = await verifyRepositories(header, session, context);
  if (isPartial) context.output.exitCode = 3;
  context.output.result(document, () => text);
}

/** Runs or resumes a verification. Throws VERIFICATION_FAILED where something is damaged. */
export async function verifyRepositories(header: RunHeader, session: Session, context: CommandContext): Promise<WorkReport> {
  const workflow = verifyWorkflow(session.cluster, session.ports);
  const intent = header.intent as VerifyIntent;
  const { failures } = await execute(workflow, header, session, context);
  const found = await workflow.observe(intent, await session.ports.runs.read(header.runId), { signal: context.signal });
  if (failures.length > 0)
    throw failureOf(
      failures.map(({ error }) => error),
      header,
    );
  const unreadable = found.repositories.unreadable.filter((one) => !found.sound.has(one.repository));
  if (found.sound.size === 0 && unreadable.length > 0) throw unreadableError(unreadable);
  const repositories = [...found.sound];
  return {
    document: { run: header.runId, repositories: repositories.map((repository) => ({ repository, ok: true })), unreadable },
    text: [
      ...repositories.map((repository) => `${repository}: every file was read, and is what was stored`),
      ...unreadable.map((one) => `${one.repository}: ${one.message}`),
    ].join('\n'),
    isPartial: unreadable.length > 0,
  };
}

/** Damage before everything else that went wrong; what is damaged in each repository is in the details. */
function failureOf(errors: readonly SpokeError[], { runId }: RunHeader): SpokeError {
  const damage = errors.filter((error) => error.code === 'VERIFICATION_FAILED');
  const [first = new SpokeError('INTERNAL', 'nothing failed')] = damage.length > 0 ? damage : errors;
  const details = { run: runId, repositories: errors.map((error) => ({ code: error.code, ...error.details })) };
  return new SpokeError(first.code, errors.map((error) => error.message).join('; '), { details, hint: first.hint, cause: first });
}
