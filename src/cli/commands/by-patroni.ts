import { formatDuration } from '../../domain/time/duration.ts';
import type { Plan } from '../../plan/step.ts';
import { patroniWorkflow } from '../../engine/patroni-workflow.ts';
import { SpokeError } from '../../errors.ts';
import type { RunHeader } from '../../ports/run-store.ts';
import { writeOutageSeconds } from '../../workflows/change-primary/journal.ts';
import { decideFailoverByPatroni, decideReseedByPatroni, decideSwitchoverByPatroni } from '../../workflows/patroni/decide.ts';
import { observeForPatroni } from '../../workflows/patroni/facts.ts';
import type { PatroniIntent, SwitchLeaderIntent } from '../../workflows/patroni/intent.ts';
import { backUpAfterChange } from '../backup-after-change.ts';
import type { ChangingOptions, CommandContext } from '../command-context.ts';
import { requireConfirmation } from '../confirm.ts';
import { execute } from '../execute.ts';
import { planToJson, renderPlan } from '../render/plan.ts';
import { newRunHeader, recompose, type Session } from '../session.ts';

/** Of the commands that hand on to these. */
interface SwitchOptions extends ChangingOptions {
  readonly to?: string;
  readonly backup: boolean;
}

interface FailoverOptions extends SwitchOptions {
  readonly iFencedIt: readonly string[];
}

interface ReseedOptions extends ChangingOptions {
  readonly method: string;
  readonly from?: string;
  readonly keepOld?: boolean;
}

/** `switchover`, where Patroni manages the cluster. */
export async function switchoverByPatroni(session: Session, options: SwitchOptions, context: CommandContext): Promise<void> {
  const facts = await observeForPatroni(session.cluster, session.ports, { signal: context.signal });
  const wish = { to: options.to ?? '', thenBackup: options.backup, run: session.newRunId('switchover') };
  const intent = decideSwitchoverByPatroni(session.cluster, wish, facts);
  await askPatroni(intent, `Having Patroni make ${intent.to} the leader`, session, options, context);
}

/** `failover`, where Patroni manages the cluster. Throws USAGE for a fence by word: Patroni's lock is the fence. */
export async function failoverByPatroni(session: Session, options: FailoverOptions, context: CommandContext): Promise<void> {
  if (options.iFencedIt.length > 0) throw new SpokeError('USAGE', '--i-fenced-it: Patroni fences by its lock, and asks nobody for a word');
  const facts = await observeForPatroni(session.cluster, session.ports, { signal: context.signal });
  const wish = { thenBackup: options.backup, run: session.newRunId('failover'), ...(options.to === undefined ? {} : { to: options.to }) };
  const intent = decideFailoverByPatroni(session.cluster, wish, facts);
  await askPatroni(intent, `Having Patroni make ${intent.to} the leader`, session, options, context);
}

/** `reseed <node>`, where Patroni manages the cluster. Throws USAGE for a way that is Patroni's to choose. */
export async function reseedByPatroni(node: string, session: Session, options: ReseedOptions, context: CommandContext): Promise<void> {
  if (options.method !== 'auto' || options.from !== undefined || options.keepOld === true)
    throw new SpokeError('USAGE', '--method, --from and --keep-old: how a member is made is in the configuration of Patroni', {
      hint: 'See what it should be told: spoke-backup setup patroni',
    });
  const facts = await observeForPatroni(session.cluster, session.ports, { signal: context.signal });
  const intent = decideReseedByPatroni(session.cluster, node, facts);
  await askPatroni(intent, `Having Patroni throw the data of ${intent.member} away`, session, options, context);
}

async function askPatroni(
  intent: PatroniIntent,
  what: string,
  session: Session,
  options: ChangingOptions,
  context: CommandContext,
): Promise<void> {
  const runId = intent.verb === 'reseed' ? session.newRunId('reseed') : (intent.run as RunHeader['runId']);
  const header = newRunHeader(session, intent.verb, intent, context.version, runId);
  const workflow = patroniWorkflow(session.cluster, intent.verb, session.ports);
  const plan: Plan = workflow.plan(intent, await workflow.observe(intent, { header, entries: [] }, { signal: context.signal }), runId);
  const shown = renderPlan(plan, session.handlers, { full: options.dryRun === true || context.output.verbose });
  if (options.dryRun === true) {
    context.output.result({ dryRun: true, intent, plan: planToJson(plan, session.handlers) }, () => shown);
    return;
  }
  context.output.say(shown);
  await requireConfirmation(what, session.cluster.name, options, context.output, context.signal);
  await runByPatroni(header, session, context);
}

/** Runs or resumes what Patroni is asked for, and prints what came of it. */
export async function runByPatroni(header: RunHeader, session: Session, context: CommandContext): Promise<void> {
  const intent = header.intent as PatroniIntent;
  const outcome = await execute(patroniWorkflow(session.cluster, intent.verb, session.ports), header, session, context);
  const failures = outcome.failures.map(({ step, error }) => ({ step: step.title, code: error.code, message: error.message }));
  if (failures.length > 0) context.output.exitCode = 3;
  const notDone = failures.map(({ step, message }) => `not done: ${step}: ${message}`);
  if (intent.verb === 'reseed') {
    const { node, leader, member } = intent;
    const streaming = outcome.results.get(`await-member ${member}`) ?? {};
    context.output.result({ run: header.runId, node, leader, streaming, failures }, () =>
      [`${node} was made anew by Patroni and streams from ${leader}`, ...notDone].join('\n'),
    );
    return;
  }
  const { runId } = header;
  const stored = await session.ports.runs.read(runId);
  const after = await recompose(session, context);
  const backup = intent.thenBackup ? await backUpAfterChange(after, context) : undefined;
  const result = {
    run: runId,
    primary: intent.node,
    oldPrimary: intent.from,
    timeline: await timelineOf(intent.node, session, context),
    writeOutageSeconds: writeOutageSeconds(stored) ?? null,
    failures,
    backup: backup ?? null,
  };
  context.output.result(result, () => [...linesOf(intent, result), ...notDone].join('\n'));
}

async function timelineOf(node: string, { ports }: Session, { signal }: CommandContext): Promise<number | null> {
  const address = await ports.access.addressOf(node);
  return address === undefined ? null : (await ports.postgres.observeRecovery(address, { signal })).timeline;
}

function linesOf(
  { node }: SwitchLeaderIntent,
  {
    timeline,
    writeOutageSeconds: seconds,
    backup,
  }: { timeline: number | null; writeOutageSeconds: number | null; backup: { labels: readonly string[] } | null },
): readonly string[] {
  return [
    `${node} is the primary${timeline === null ? '' : ` on timeline ${timeline}`}, by Patroni`,
    ...(seconds === null ? [] : [`nobody could write for ${formatDuration(seconds)}`]),
    ...(backup === null ? [] : [`backup     ${backup.labels.join(', ')}`]),
  ];
}
