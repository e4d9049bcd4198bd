import { changePrimaryWorkflow } from '../../engine/change-primary-workflow.ts';
import { withPreviewsOfHosts } from '../../engine/on-hosts.ts';
import type { UnreadableRepository } from '../../domain/catalog/repository-snapshot.ts';
import type { Candidate } from '../../domain/topology/failover-candidate.ts';
import { asSpokeError, SpokeError } from '../../errors.ts';
import type { RunHeader, StoredRun } from '../../ports/run-store.ts';
import { type ChangePrimaryIntent, withChosen } from '../../workflows/change-primary/intent.ts';
import { chosenSince, lostAfterFences, writeOutageSeconds } from '../../workflows/change-primary/journal.ts';
import { decideFailover } from '../../workflows/failover/decide.ts';
import { isSameRange, withHeld } from '../../workflows/failover/lost.ts';
import { observeWalEnds } from '../../workflows/failover/observe.ts';
import { observeRepositories } from '../../workflows/observe-cluster.ts';
import { observeTopology } from '../../workflows/observe-topology.ts';
import { decideSwitchover } from '../../workflows/switchover/decide.ts';
import { backUpAfterChange } from '../backup-after-change.ts';
import type { ChangingOptions, CommandContext } from '../command-context.ts';
import { requireConfirmation } from '../confirm.ts';
import { execute } from '../execute.ts';
import { changeResultToJson, renderCandidates, renderChangeResult, renderLostWal } from '../render/change-primary.ts';
import { planToJson, renderPlan } from '../render/plan.ts';
import { newRunHeader, openSession, type Session } from '../session.ts';

export interface ChangePrimaryOptions extends ChangingOptions {
  readonly to?: string;
  /** --no-backup */
  readonly backup: boolean;
}

export interface FailoverOptions extends ChangePrimaryOptions {
  readonly iFencedIt: readonly string[];
}

interface Decision {
  readonly intent: ChangePrimaryIntent;
  readonly candidates?: readonly Candidate[];
}

/** `spoke-backup switchover --to <node>` */
export async function switchoverCommand(options: ChangePrimaryOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  if (session.cluster.patroni !== undefined) return (await import('./by-patroni.ts')).switchoverByPatroni(session, options, context);
  const run = session.newRunId('switchover');
  const observed = await observeTopology(session.cluster, session.ports, { signal: context.signal });
  const intent = decideSwitchover(session.cluster, { to: options.to ?? '', run, thenBackup: options.backup }, observed);
  await changePrimary({ intent }, session, options, context);
}

/** `spoke-backup failover [--to <node>]` */
export async function failoverCommand(options: FailoverOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  const { cluster, ports } = session;
  const operation = { signal: context.signal };
  if (cluster.patroni !== undefined) return (await import('./by-patroni.ts')).failoverByPatroni(session, options, context);
  for (const node of options.iFencedIt) requireNode(session, node);
  const [observed, { snapshots, unreadable }] = await Promise.all([
    observeTopology(cluster, ports, operation),
    observeRepositories(cluster, undefined, { walArchive: true }, ports, operation),
  ]);
  warnOfUnreadable(unreadable, context);
  const run = session.newRunId('failover');
  const { to, backup: thenBackup, iFencedIt: fenced } = options;
  const facts = { snapshots, walEnds: await observeWalEnds(observed, ports, operation) };
  const decision = decideFailover(cluster, { run, thenBackup, fenced, ...(to === undefined ? {} : { to }) }, observed, facts);
  await changePrimary(decision, session, options, context);
}

function requireNode({ cluster }: Session, node: string): void {
  if (cluster.nodes.some(({ name }) => name === node)) return;
  throw new SpokeError('USAGE', `--i-fenced-it ${node}: the configuration has no such node`, {
    hint: `Known are: ${cluster.nodes.map(({ name }) => name).join(', ')}`,
  });
}

async function changePrimary(decision: Decision, session: Session, options: ChangingOptions, context: CommandContext): Promise<void> {
  const { intent, candidates } = decision;
  const operation = { signal: context.signal };
  const header = newRunHeader(session, intent.verb, intent, context.version, intent.run as RunHeader['runId']);
  const workflow = changePrimaryWorkflow(session.cluster, intent.verb, session.ports);
  const plan = workflow.plan(intent, await workflow.observe(intent, { header, entries: [] }, operation), header.runId);
  const handlers = await withPreviewsOfHosts(plan, session.handlers, session.ports.hosts, operation);
  const full = options.dryRun === true || context.output.verbose;
  const shown = [
    ...(candidates === undefined ? [] : [renderCandidates(candidates)]),
    ...(intent.verb === 'failover' ? [renderLostWal(intent.lost)] : []),
    renderPlan(plan, handlers, { full }),
  ].join('\n');
  if (options.dryRun === true) {
    context.output.result({ dryRun: true, intent, candidates: candidates ?? [], plan: planToJson(plan, handlers) }, () => shown);
    return;
  }
  context.output.say(shown);
  await requireConfirmation(`Making ${intent.to} the primary`, session.cluster.name, options, context.output, context.signal);
  await runChangePrimary(header, session, context);
}

/** Runs or resumes it, takes the backup of the new timeline, and prints what came of it. */
export async function runChangePrimary(header: RunHeader, session: Session, context: CommandContext): Promise<void> {
  const begun = header.intent as ChangePrimaryIntent;
  const outcome = await execute(changePrimaryWorkflow(session.cluster, begun.verb, session.ports), header, session, context);
  const failures = outcome.failures.map(({ step, error }) => ({ step: step.title, code: error.code, message: error.message }));
  if (failures.length > 0) {
    context.output.exitCode = 3;
    context.output.warn(`not everything was done; once that is mended: spoke-backup runs resume ${header.runId}`);
  }
  const stored = await session.ports.runs.read(header.runId);
  const intent = await asItCame(begun, stored, session, context);
  const address = await session.ports.access.addressOf(intent.to);
  const operation = { signal: context.signal };
  const timeline = address === undefined ? undefined : (await session.ports.postgres.observeRecovery(address, operation)).timeline;
  const backup = intent.thenBackup ? await backUpAfterChange(session, context) : undefined;
  const result = { intent, timeline, outageSeconds: writeOutageSeconds(stored), failures, backup };
  context.output.result(changeResultToJson(result), () => renderChangeResult(result));
}

/** Who was promoted, and what was lost, are known once the old primary is fenced: where the repositories still have it is looked at then. */
async function asItCame(
  begun: ChangePrimaryIntent,
  stored: StoredRun,
  { cluster, ports }: Session,
  context: CommandContext,
): Promise<ChangePrimaryIntent> {
  const intent = withChosen(begun, chosenSince(stored));
  const lost = lostAfterFences(stored);
  if (intent.verb === 'switchover' || lost === undefined || isSameRange(lost, intent.lost)) return intent;
  try {
    const { snapshots, unreadable } = await observeRepositories(cluster, undefined, { walArchive: true }, ports, {
      signal: context.signal,
    });
    warnOfUnreadable(unreadable, context);
    return { ...intent, lost: withHeld(lost, intent.systemIdentifier, snapshots) };
  } catch (thrown) {
    // The primary has changed, whatever can be said of its archive.
    context.output.warn(`what the repositories have of the lost WAL is as of before the failover: ${asSpokeError(thrown).message}`);
    return { ...intent, lost: { ...lost, held: intent.lost.held } };
  }
}

function warnOfUnreadable(unreadable: readonly UnreadableRepository[], { output }: CommandContext): void {
  for (const { repository, message } of unreadable) output.warn(`what ${repository} has of the lost WAL is not known: ${message}`);
}
