import { setupWorkflow } from '../../engine/simple-workflows.ts';
import { SpokeError } from '../../errors.ts';
import type { RunHeader } from '../../ports/run-store.ts';
import type { SetupIntent } from '../../workflows/setup-cluster/intent.ts';
import { requireNoPatroni } from '../../workflows/patroni/guard.ts';
import { interruptsService } from '../../workflows/setup-archiving/plan.ts';
import type { ChangingOptions, CommandContext } from '../command-context.ts';
import { requireConfirmation } from '../confirm.ts';
import { execute } from '../execute.ts';
import { planToJson, renderPlan } from '../render/plan.ts';
import { newRunHeader, openSession, type Session } from '../session.ts';

export interface SetupOptions extends ChangingOptions {
  /** Without it the plan is shown and nothing is done. */
  readonly apply?: boolean;
}

/** `spoke-backup setup primary | replica <node> | pgbouncer | endpoints`; `given` is what commander hands on: arguments, then options. */
export async function setupCommand(words: string, given: readonly unknown[], context: CommandContext): Promise<void> {
  const [what = ''] = words.split(' ');
  const hasNode = words.includes('<');
  const options = given[hasNode ? 1 : 0] as SetupOptions;
  await setUp(what, hasNode ? String(given[0]) : undefined, options, context);
}

async function setUp(what: string, node: string | undefined, options: SetupOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  if (what === 'primary' || what === 'replica') requireNoPatroni(session.cluster, `setup ${what}`);
  const intent = intentOf(what, node, session.cluster.name, options);
  const workflow = setupWorkflow(session.cluster, session.ports);
  const runId = session.newRunId('setup');
  const header = newRunHeader(session, 'setup', intent, context.version, runId);
  const plan = workflow.plan(intent, await workflow.observe(intent, { header, entries: [] }, { signal: context.signal }), runId);
  const changes = plan.steps.some(({ effect }) => effect !== 'read');
  if (options.apply !== true || options.dryRun === true) {
    const next = changes ? `\nTo do it: repeat the command with --apply` : '\nNothing is to be changed.';
    const document = { dryRun: true, changes, plan: planToJson(plan, session.handlers) };
    context.output.result(document, () => `${renderPlan(plan, session.handlers, { full: true })}${next}`);
    return;
  }
  context.output.say(renderPlan(plan, session.handlers, { full: true }));
  if (interruptsService(plan))
    await requireConfirmation('Restarting the server', session.cluster.name, options, context.output, context.signal);
  await runSetup(header, session, context);
}

function intentOf(what: string, node: string | undefined, cluster: string, options: SetupOptions): SetupIntent {
  const restartAllowed = options.confirm === cluster;
  switch (what) {
    case 'primary':
      return { cluster, what, restartAllowed };
    case 'replica':
      return { cluster, what, node: node ?? '', restartAllowed };
    case 'pgbouncer':
    case 'endpoints':
      return { cluster, what };
    default:
      throw new SpokeError('INTERNAL', `setup ${what}`);
  }
}

/** Runs or resumes the set-up and prints what came of it. */
export async function runSetup(header: RunHeader, session: Session, context: CommandContext): Promise<void> {
  const outcome = await execute(setupWorkflow(session.cluster, session.ports), header, session, context);
  const { what } = header.intent as SetupIntent;
  const steps = [...outcome.results.keys()];
  context.output.result({ run: header.runId, steps }, () => `${what} of ${session.cluster.name} is set up (${steps.length} steps)`);
}
