import type { BackupLabel, RepositoryName } from '../../domain/catalog/base-backup.ts';
import { formatUntil, isActive, type Pin, pinOfAnnotation, strongestPins, untilToText } from '../../domain/retention/pin.ts';
import { parseInstant } from '../../domain/time/parse-instant.ts';
import { pinWorkflow } from '../../engine/simple-workflows.ts';
import { SpokeError } from '../../errors.ts';
import type { RunHeader } from '../../ports/run-store.ts';
import { observePin, type PinIntent, planPin } from '../../workflows/pin/plan.ts';
import type { ChangingOptions, CommandContext, GlobalOptions } from '../command-context.ts';
import { execute } from '../execute.ts';
import { renderPins, pinToJson } from '../render/pins.ts';
import { planToJson, renderPlan } from '../render/plan.ts';
import { newRunHeader, openSession, repositoryNamed, type Session } from '../session.ts';
import { unreadableError } from '../unreadable.ts';
import { observeRepositories } from '../../workflows/observe-cluster.ts';

export interface UnpinOptions extends ChangingOptions {
  readonly repo: string;
}

export interface PinOptions extends UnpinOptions {
  readonly until: string;
  readonly reason: string;
}

/** `spoke-backup pin` */
export async function pinCommand(label: string, options: PinOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  const pin = { until: untilToText(readUntil(options.until, session)), reason: readReason(options.reason) };
  await change(label, pin, options, session, context);
}

/** `spoke-backup unpin` */
export async function unpinCommand(label: string, options: UnpinOptions, context: CommandContext): Promise<void> {
  await change(label, null, options, await openSession(options, context), context);
}

async function change(label: string, pin: PinIntent['pin'], { repo, dryRun }: UnpinOptions, session: Session, context: CommandContext) {
  const repositories = repositoriesOf(session, repo);
  const intent: PinIntent = { cluster: session.cluster.name, label: label as BackupLabel, repositories, pin };
  const plan = planPin(intent, await observePin(session.cluster, intent, session.ports, { signal: context.signal }));
  if (dryRun === true) {
    context.output.result({ dryRun: true, plan: planToJson(plan, session.handlers) }, () =>
      plan.steps.length === 0 ? 'nothing to do' : renderPlan(plan, session.handlers, { full: true }),
    );
    return;
  }
  await runPin(newRunHeader(session, 'pin', intent, context.version, session.newRunId('pin')), session, context);
}

/** Runs or resumes the change of a pin and prints what came of it. */
export async function runPin(header: RunHeader, session: Session, context: CommandContext): Promise<void> {
  const { label, pin, repositories } = header.intent as PinIntent;
  const { failures } = await execute(pinWorkflow(session.cluster, session.ports), header, session, context);
  if (failures.length > 0) context.output.exitCode = 3;
  for (const { step, error } of failures) context.output.warn(`${step.title} failed: ${error.message}`);
  const document = {
    run: header.runId,
    label,
    repositories,
    pin,
    failures: failures.map(({ error: { code, message } }) => ({ code, message })),
  };
  context.output.result(document, () => (pin === null ? `${label} is no longer pinned` : `${label} is pinned: ${pin.reason}`));
}

/** `spoke-backup pins` */
export async function pinsCommand(options: GlobalOptions & { readonly repo: string }, context: CommandContext): Promise<void> {
  const session = await openSession(options, context, { askForPrimary: false });
  const only = repositoriesOf(session, options.repo);
  const [{ snapshots, unreadable }, stored] = await Promise.all([
    observeRepositories(session.cluster, only, { walArchive: true }, session.ports, { signal: context.signal }),
    session.ports.pins.list(session.cluster.name),
  ]);
  if (snapshots.length === 0 && unreadable.length > 0 && stored.length === 0) throw unreadableError(unreadable);
  if (unreadable.length > 0) context.output.exitCode = 3;
  for (const one of unreadable) context.output.warn(`repository ${one.repository} could not be read: ${one.message}`);
  const annotated = snapshots.flatMap(({ backups }) => backups.flatMap((backup) => pinOfAnnotation(backup) ?? []));
  const pins: readonly Pin[] = strongestPins([...stored.filter(({ repository }) => only.includes(repository)), ...annotated]);
  const now = session.ports.clock.now();
  const shown = pins.map((pin) => ({
    pin,
    isActive: isActive(pin, now),
    snapshot: snapshots.find(({ repository }) => repository === pin.repository),
  }));
  context.output.result({ cluster: session.cluster.name, pins: shown.map(pinToJson), unreadable }, () => renderPins(shown));
}

function repositoriesOf({ cluster }: Session, repo: string): readonly RepositoryName[] {
  return repo === 'all' ? cluster.repositories.map(({ name }) => name) : [repositoryNamed(cluster, repo)];
}

function readUntil(text: string, { ports, configuration: { timezone } }: Session): Pin['until'] {
  if (text === 'forever') return text;
  const now = ports.clock.now();
  const parsed = parseInstant(text, { now, ...(timezone === undefined ? {} : { timeZone: timezone }) });
  if (parsed.kind === 'refused')
    throw new SpokeError('USAGE', `--until: ${parsed.message}`, { hint: `For example: ${[...parsed.suggestions, 'forever'].join(', ')}` });
  if (parsed.instant <= now)
    throw new SpokeError('USAGE', `--until ${formatUntil(parsed.instant)} has passed`, { hint: 'For example: --until forever' });
  return parsed.instant;
}

function readReason(text: string): string {
  const reason = text.trim();
  if (reason !== '' && reason.length <= 200 && !/\p{Cc}/u.test(reason)) return reason;
  throw new SpokeError('USAGE', '--reason must be one line of at most 200 characters', { hint: 'For example: --reason "audit of 2026"' });
}
