import type { ReseedMethodName } from '../../domain/topology/reseed-facts.ts';
import type { ReseedWish } from '../../domain/topology/reseed-method.ts';
import { withPreviewsOfHosts } from '../../engine/on-hosts.ts';
import { reseedWorkflow } from '../../engine/reseed-workflow.ts';
import { SpokeError } from '../../errors.ts';
import type { RunHeader } from '../../ports/run-store.ts';
import { decideReseed } from '../../workflows/reseed/decide.ts';
import type { ReseedIntent } from '../../workflows/reseed/intent.ts';
import { observeForReseed } from '../../workflows/reseed/observe.ts';
import { optionToJson } from '../../workflows/reseed/refuse.ts';
import type { ReseedRequest, ReseedWorld } from '../../workflows/reseed/request.ts';
import type { ChangingOptions, CommandContext } from '../command-context.ts';
import { requireConfirmation } from '../confirm.ts';
import { execute } from '../execute.ts';
import { planToJson, renderPlan } from '../render/plan.ts';
import { renderReseedOptions } from '../render/reseed.ts';
import { newRunHeader, openSession, type Session } from '../session.ts';

export interface ReseedOptions extends ChangingOptions {
  readonly method: string;
  readonly from?: string;
  readonly keepOld?: boolean;
}

/** `spoke-backup reseed <node>` */
export async function reseedCommand(node: string, options: ReseedOptions, context: CommandContext): Promise<void> {
  const wish = wishOf(options);
  const session = await openSession(options, context);
  if (session.cluster.patroni !== undefined) return (await import('./by-patroni.ts')).reseedByPatroni(node, session, options, context);
  const operation = { signal: context.signal };
  const runId = session.newRunId('reseed');
  const suffix = runId.split('-').at(-1) ?? runId;
  const request = { cluster: session.cluster, node, wish, keepOld: options.keepOld === true, suffix };
  const world = await observeForReseed(request, session.ports, operation);
  const intent = decideShowing(request, world, context);
  await proceedWithReseed(intent, world, { runId, session, options, context });
}

/** What a reseed that was decided needs to go on. */
export interface Proceeding {
  readonly runId: RunHeader['runId'];
  readonly session: Session;
  readonly options: ChangingOptions;
  readonly context: CommandContext;
}

/** Shows the plan; where that was not all, has it confirmed and runs it. */
export async function proceedWithReseed(intent: ReseedIntent, world: ReseedWorld, proceeding: Proceeding): Promise<void> {
  const { runId, session, options, context } = proceeding;
  const { node } = intent;
  const operation = { signal: context.signal };
  const workflow = reseedWorkflow(session.cluster, session.ports);
  const header = newRunHeader(session, 'reseed', intent, context.version, runId);
  const plan = workflow.plan(intent, await workflow.observe(intent, { header, entries: [] }, operation), runId);
  const handlers = await withPreviewsOfHosts(plan, session.handlers, session.ports.hosts, operation);
  const full = options.dryRun === true || context.output.verbose;
  const shown = [tableOf(world), `${node}: ${intent.method} from ${intent.source.name}`, renderPlan(plan, handlers, { full })].join('\n\n');
  if (options.dryRun === true) {
    const choice = { method: intent.method, source: intent.source, reason: intent.reason, options: optionsOf(world) };
    context.output.result({ dryRun: true, node, primary: intent.primary, ...choice, plan: planToJson(plan, handlers) }, () => shown);
    return;
  }
  context.output.say(shown);
  if (intent.destinationIdentity !== null)
    await requireConfirmation(
      `Replacing the data of ${node} (${intent.dataDirectory})`,
      session.cluster.name,
      options,
      context.output,
      context.signal,
    );
  await runReseed(header, session, context);
}

const METHODS: readonly string[] = ['rewind', 'delta', 'backup', 'basebackup'] satisfies ReseedMethodName[];

function wishOf({ method, from }: ReseedOptions): ReseedWish {
  if (method !== 'auto' && !METHODS.includes(method))
    throw new SpokeError('USAGE', `--method ${method}: there is no such method`, { hint: `Known are: auto, ${METHODS.join(', ')}` });
  return { ...(method === 'auto' ? {} : { method: method as ReseedMethodName }), ...(from === undefined ? {} : { from }) };
}

/** Where every way is refused, the reasons are what one wants to read. */
function decideShowing(request: ReseedRequest, world: ReseedWorld, { output }: CommandContext): ReseedIntent {
  try {
    return decideReseed(request, world);
  } catch (thrown) {
    if (world.seeding !== undefined && world.seeding.choice.chosen === undefined) output.say(tableOf(world));
    throw thrown;
  }
}

function tableOf({ seeding }: ReseedWorld): string {
  return seeding === undefined ? '' : renderReseedOptions(seeding.choice);
}

function optionsOf({ seeding }: ReseedWorld) {
  return seeding?.choice.options.map(optionToJson) ?? [];
}

/** Runs or resumes a reseed and prints what came of it. */
export async function runReseed(header: RunHeader, session: Session, context: CommandContext): Promise<void> {
  const { results } = await execute(reseedWorkflow(session.cluster, session.ports), header, session, context);
  const intent = header.intent as ReseedIntent;
  const { node, primary, oldDataDirectory, keepOld } = intent;
  const { method, source } = await seedingOf(intent, header, session);
  const streaming = results.get('await-streaming') ?? {};
  const kept = keepOld ? oldDataDirectory : null;
  context.output.result({ run: header.runId, node, primary, method, source, streaming, oldDataDirectory: kept }, () => {
    const old = kept === null ? '' : `; its old data is in ${kept}`;
    return `${node} streams from ${primary}, seeded by ${method} from ${source.name}${old}`;
  });
}

/** As it was done in the end: the journal tells, since an interrupted pg_rewind is followed by something else. */
async function seedingOf(intent: ReseedIntent, { runId }: RunHeader, { ports }: Session): Promise<Pick<ReseedIntent, 'method' | 'source'>> {
  const { entries } = await ports.runs.read(runId);
  const steps = entries.flatMap((entry) => (entry.kind === 'step-finished' ? [entry] : []));
  const isRewound = steps.some(({ step }) => step === 'rewind-standby');
  return intent.instead === null || isRewound ? intent : intent.instead;
}
