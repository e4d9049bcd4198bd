import { formatInstantIso, instantOfMicros } from '../../domain/time/instant.ts';
import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import { expireWorkflow } from '../../engine/simple-workflows.ts';
import type { PlanOutcome } from '../../engine/run-plan.ts';
import type { RunTrigger } from '../../domain/schedule/trigger.ts';
import type { Plan } from '../../plan/step.ts';
import type { RunHeader } from '../../ports/run-store.ts';
import { type ExpireIntent, observeExpire } from '../../workflows/expire/facts.ts';
import { explainExpire, findingsOf, isConfirmable, planExpire } from '../../workflows/expire/plan.ts';
import type { ChangingOptions, CommandContext } from '../command-context.ts';
import { requireConfirmation } from '../confirm.ts';
import { execute } from '../execute.ts';
import { type ExpiryResult, renderExpiry, renderExplanation, retentionToJson } from '../render/expire.ts';
import { planToJson, renderPlan } from '../render/plan.ts';
import { newRunHeader, openSession, repositoryNamed, type Session } from '../session.ts';

const WITH_FINDINGS = 3;

export interface ExpireOptions extends ChangingOptions {
  readonly repo: string;
  readonly explain?: boolean;
}

/** `spoke-backup expire` */
export async function expireCommand(options: ExpireOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  const { cluster } = session;
  if (options.confirm !== undefined)
    await requireConfirmation('Expiring more than usual', cluster.name, options, context.output, context.signal);
  const repositories = options.repo === 'all' ? cluster.repositories.map(({ name }) => name) : [repositoryNamed(cluster, options.repo)];
  const intent = newIntent(session, repositories, options.confirm !== undefined);
  if (options.explain === true || options.dryRun === true) return explain(intent, options, session, context);
  const runId = session.newRunId('expire');
  await runExpire(newRunHeader(session, 'expire', intent, context.version, runId), session, context);
}

function newIntent({ cluster, ports }: Session, repositories: readonly RepositoryName[], confirmed: boolean): ExpireIntent {
  return { cluster: cluster.name, repositories, confirmed, decidedAtMicros: String(ports.clock.now()) };
}

/** Shows what would be kept and go, and why; with --dry-run the commands, too. Changes nothing. */
async function explain(intent: ExpireIntent, options: ExpireOptions, session: Session, context: CommandContext): Promise<void> {
  const { output } = context;
  const facts = await observeExpire(session.cluster, intent, session.ports, { signal: context.signal });
  const plan = planExpire(intent, facts);
  const plans = explainExpire(facts);
  for (const warning of plan.warnings) output.warn(warning);
  if (isConfirmable(plans)) output.say(confirmHint(intent));
  if (plan.warnings.length > 0) output.exitCode = WITH_FINDINGS;
  const document = {
    cluster: session.cluster.name,
    decidedAt: formatInstantIso(instantOfMicros(BigInt(intent.decidedAtMicros))),
    repositories: plans.map((one) => retentionToJson(one, facts)),
    unreadable: facts.unreadable,
    ...(options.dryRun === true ? { dryRun: true, plan: planToJson(plan, session.handlers) } : {}),
  };
  output.result(document, () =>
    [
      renderExplanation(plans, facts),
      ...(options.dryRun === true
        ? ['', plan.steps.length === 0 ? 'nothing to do' : renderPlan({ ...plan, warnings: [] }, session.handlers, { full: true })]
        : []),
    ].join('\n'),
  );
}

/** Runs or resumes an expiry and prints what came of it. */
export async function runExpire(header: RunHeader, session: Session, context: CommandContext): Promise<void> {
  const result = await performExpire(header, session, context);
  context.output.result({ ...result }, () => renderExpiry(result));
}

/** Expires in these repositories because of something else: a backup that they got, or a schedule. Its findings are those of the command. */
export async function expireIn(
  repositories: readonly RepositoryName[],
  session: Session,
  context: CommandContext,
  trigger?: RunTrigger,
): Promise<ExpiryResult> {
  const intent = newIntent(session, repositories, false);
  return performExpire(newRunHeader(session, 'expire', intent, context.version, session.newRunId('expire'), trigger), session, context);
}

/** What that would do. */
export async function planExpireIn(repositories: readonly RepositoryName[], session: Session, context: CommandContext): Promise<Plan> {
  const intent = newIntent(session, repositories, false);
  return planExpire(intent, await observeExpire(session.cluster, intent, session.ports, { signal: context.signal }));
}

async function performExpire(header: RunHeader, session: Session, context: CommandContext): Promise<ExpiryResult> {
  const outcome = await execute(expireWorkflow(session.cluster, session.ports), header, session, context);
  const result = await observeResult(header, outcome, session, context);
  if (result.findings.length > 0) context.output.exitCode = WITH_FINDINGS;
  return result;
}

async function observeResult(header: RunHeader, outcome: PlanOutcome, session: Session, context: CommandContext): Promise<ExpiryResult> {
  const intent = header.intent as ExpireIntent;
  const facts = await observeExpire(session.cluster, intent, session.ports, { signal: context.signal });
  const plans = explainExpire(facts);
  if (isConfirmable(plans)) context.output.say(confirmHint(intent));
  const results = [...outcome.results.values()];
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  const skipped = results
    .filter(({ skipped: reason }) => reason !== undefined)
    .map(({ repository, label, abortedUploads, skipped: reason }) => ({
      repository: text(repository),
      what: label === undefined ? (abortedUploads === undefined ? 'WAL' : 'uploads') : text(label),
      reason: text(reason),
    }));
  const done = results.filter(({ skipped: reason }) => reason === undefined);
  return {
    run: header.runId,
    expired: done
      .filter(({ label }) => label !== undefined)
      .map(({ repository, label, dependents }) => ({
        repository: text(repository),
        label: text(label),
        dependents: Array.isArray(dependents) ? dependents.map(text) : [],
      })),
    wal: done.filter(({ floor }) => floor !== undefined).map(({ repository }) => text(repository)),
    skipped,
    findings: [
      ...findingsOf(plans),
      ...skipped.map(({ repository, what, reason }) => `repository ${repository}: ${what} was skipped: ${reason}`),
      ...outcome.failures.map(({ step, error }) => `${step.title} failed: ${error.message}`),
      ...facts.unreadable.map(({ repository, message }) => `repository ${repository} could not be read: ${message}`),
    ],
  };
}

function confirmHint({ cluster }: ExpireIntent): string {
  return `To let it expire all the same: spoke-backup expire --confirm ${cluster}`;
}
