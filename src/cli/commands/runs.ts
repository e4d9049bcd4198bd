import type { JournalEntry, RunId, StoredRun } from '../../ports/run-store.ts';
import { describeTrigger, type RunTrigger } from '../../domain/schedule/trigger.ts';
import { SpokeError } from '../../errors.ts';
import { type Cancelled, cancelRun } from '../../engine/cancel-run.ts';
import { rebuildHistory } from '../../engine/history.ts';
import { changePrimaryWorkflow } from '../../engine/change-primary-workflow.ts';
import { patroniWorkflow } from '../../engine/patroni-workflow.ts';
import { reseedWorkflow } from '../../engine/reseed-workflow.ts';
import { workflowOfRestore } from '../../engine/restore-cluster-workflow.ts';
import {
  backupWorkflow,
  expireWorkflow,
  pinWorkflow,
  setupArchivingWorkflow,
  setupWorkflow,
  verifyWorkflow,
} from '../../engine/simple-workflows.ts';
import { formatDuration } from '../../domain/time/duration.ts';
import { formatInstantIso, formatInstantUtc, secondsBetween } from '../../domain/time/instant.ts';
import { observeRepositories } from '../../workflows/observe-cluster.ts';
import { isPatroniIntent } from '../../workflows/patroni/intent.ts';
import type { RestoreIntent } from '../../workflows/restore/intent.ts';
import { endOf, isResumable } from '../../workflows/runs/judge.ts';
import { requireConfirmation } from '../confirm.ts';
import type { ChangingOptions, CommandContext, GlobalOptions } from '../command-context.ts';
import { eventSink } from '../execute.ts';
import { renderTable } from '../render/table.ts';
import { openSession, type Session } from '../session.ts';
import { unreadableError } from '../unreadable.ts';
import { runBackup } from './backup.ts';
import { runByPatroni } from './by-patroni.ts';
import { runChangePrimary } from './change-primary.ts';
import { runExpire } from './expire.ts';
import { runPin } from './pin.ts';
import { runReseed } from './reseed.ts';
import { runRestore } from './restore.ts';
import { runSetup } from './setup.ts';
import { runSetupArchiving } from './setup-archiving.ts';
import { runVerify } from './verify.ts';

/** `spoke-backup runs` */
export async function listRunsCommand(options: GlobalOptions & { readonly limit: string }, context: CommandContext): Promise<void> {
  const session = await openSession(options, context, { askForPrimary: false });
  const limit = parseLimit(options.limit);
  const runs = await session.ports.runs.list({ cluster: session.cluster.name, limit });
  for (const { runId, reason } of await session.ports.runs.listDamaged({ among: limit }))
    context.output.warn(`run ${runId} cannot be read: ${reason}; set it aside: spoke-backup runs rebuild`);
  context.output.result({ runs: runs.map(runToJson) }, () =>
    runs.length === 0
      ? 'no runs'
      : renderTable(
          ['RUN', 'STARTED', 'TOOK', 'OUTCOME', 'LAST STEP', 'BEGUN BY'],
          runs.map((run) => [
            run.header.runId,
            formatInstantUtc(run.header.startedAt, { fraction: 'none' }),
            formatDuration(secondsOf(run)),
            outcomeOf(run),
            lastStepOf(run),
            describeTrigger(run.header.trigger),
          ]),
        ),
  );
}

/** `spoke-backup runs show <run>` */
export async function showRunCommand(runId: string, options: GlobalOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context, { askForPrimary: false });
  const run = await session.ports.runs.read(runId as RunId);
  context.output.result(
    { ...runToJson(run), intent: run.header.intent, journal: run.entries.map((entry) => ({ ...entry, at: formatInstantIso(entry.at) })) },
    () =>
      [
        `run ${run.header.runId}: ${run.header.verb} of ${run.header.cluster}, by ${run.header.user} on ${run.header.host}, version ${run.header.programVersion}`,
        `begun by: ${describeTrigger(run.header.trigger)}`,
        ...run.entries.map((entry) => `${formatInstantUtc(entry.at)}  ${describeEntry(entry)}`),
        `outcome: ${outcomeOf(run)}`,
      ].join('\n'),
  );
}

/** `spoke-backup runs resume [run]` */
export async function resumeRunCommand(runId: string | undefined, options: ChangingOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context);
  const run = runId === undefined ? await newestUnfinished(session) : await session.ports.runs.read(runId as RunId);
  requireCluster(run, session);
  if (!isResumable(run))
    throw new SpokeError(
      'REFUSED_PRECONDITION',
      `run ${run.header.runId} was ${endOf(run)?.isFinal === true ? 'given up' : 'through'}: there is nothing to resume`,
      {
        hint: 'Begin anew with the same command as then; see: spoke-backup runs',
      },
    );
  if (options.dryRun === true) return showRunCommand(run.header.runId, options, context);
  await confirmAgain(run, options, context);
  await resume(run, session, context);
}

/** `spoke-backup runs cancel <run>` */
export async function cancelRunCommand(runId: string, options: GlobalOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context, { askForPrimary: false });
  const run = await session.ports.runs.read(runId as RunId);
  requireCluster(run, session);
  const emit = await eventSink(session, context);
  const cancelContext = { ports: session.ports, emit, signal: context.signal, pid: process.pid };
  const { stopped, outcome } = await cancelWith(run, session, cancelContext);
  if (outcome === 'succeeded') context.output.exitCode = 3;
  const how = stopped === undefined ? '' : `process ${stopped.pid} ended after ${formatDuration(stopped.seconds)}; `;
  context.output.result({ run: run.header.runId, outcome, stopped: stopped ?? null }, () =>
    outcome === 'succeeded'
      ? `${how}${run.header.runId} was through before it could be stopped`
      : `${how}${run.header.runId} is given up and will not be resumed`,
  );
}

function cancelWith(run: StoredRun, session: Session, context: Parameters<typeof cancelRun>[2]): Promise<Cancelled> {
  const { intent } = run.header;
  if (isPatroniIntent(intent)) return cancelRun(run, patroniWorkflow(session.cluster, intent.verb, session.ports), context);
  switch (run.header.verb) {
    case 'backup':
      return cancelRun(run, backupWorkflow(session.cluster, session.ports), context);
    case 'restore':
      return cancelRun(run, workflowOfRestore(run.header.intent as RestoreIntent, session.cluster, session.ports), context);
    case 'setup':
      return cancelRun(run, setupWorkflow(session.cluster, session.ports), context);
    case 'setup-archiving':
      return cancelRun(run, setupArchivingWorkflow(session.cluster, session.ports), context);
    case 'reseed':
      return cancelRun(run, reseedWorkflow(session.cluster, session.ports), context);
    case 'verify':
      return cancelRun(run, verifyWorkflow(session.cluster, session.ports), context);
    case 'expire':
      return cancelRun(run, expireWorkflow(session.cluster, session.ports), context);
    case 'pin':
      return cancelRun(run, pinWorkflow(session.cluster, session.ports), context);
    case 'switchover':
    case 'failover':
      return cancelRun(run, changePrimaryWorkflow(session.cluster, run.header.verb, session.ports), context);
  }
}

/** `spoke-backup runs rebuild` */
export async function rebuildRunsCommand(options: GlobalOptions, context: CommandContext): Promise<void> {
  const session = await openSession(options, context, { askForPrimary: false });
  const { cluster, ports } = session;
  const { snapshots, unreadable } = await observeRepositories(cluster, undefined, { walArchive: false }, ports, { signal: context.signal });
  if (snapshots.length === 0 && unreadable.length > 0) throw unreadableError(unreadable);
  if (unreadable.length > 0) context.output.exitCode = 3;
  for (const one of unreadable) context.output.warn(`repository ${one.repository} could not be read: ${one.message}`);
  const { setAside, rebuilt } = await rebuildHistory(ports, cluster.name, snapshots);
  context.output.result({ setAside, rebuilt, unreadable }, () =>
    [
      ...setAside.map(({ runId, reason, path }) => `${runId} cannot be read (${reason}) and is now ${path}`),
      ...rebuilt.map((runId) => `${runId} is known again`),
      ...(setAside.length + rebuilt.length === 0 ? ['nothing was missing'] : []),
    ].join('\n'),
  );
}

function requireCluster(run: StoredRun, session: Session): void {
  if (run.header.cluster === session.cluster.name) return;
  throw new SpokeError('USAGE', `run ${run.header.runId} is of cluster ${run.header.cluster}`, {
    hint: `Add: --cluster ${run.header.cluster}`,
  });
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (Number.isInteger(limit) && limit > 0) return limit;
  throw new SpokeError('USAGE', `--limit ${text}: a whole number from 1`, { hint: 'For example: spoke-backup runs --limit 20' });
}

/** The cluster's name was typed when the run began, and the run goes no further than what was confirmed; only a name given must be right. */
async function confirmAgain(run: StoredRun, options: ChangingOptions, context: CommandContext): Promise<void> {
  if (options.confirm !== undefined)
    await requireConfirmation(`Resuming ${run.header.runId}`, run.header.cluster, options, context.output, context.signal);
}

async function resume(run: StoredRun, session: Session, context: CommandContext): Promise<void> {
  if (isPatroniIntent(run.header.intent)) return runByPatroni(run.header, session, context);
  switch (run.header.verb) {
    case 'backup':
      return runBackup(run.header, session, context);
    case 'restore':
      return runRestore(run.header, session, context);
    case 'expire':
      return runExpire(run.header, session, context);
    case 'pin':
      return runPin(run.header, session, context);
    case 'setup':
      return runSetup(run.header, session, context);
    case 'setup-archiving':
      return runSetupArchiving(run.header, session, context);
    case 'reseed':
      return runReseed(run.header, session, context);
    case 'verify':
      return runVerify(run.header, session, context);
    case 'switchover':
    case 'failover':
      return runChangePrimary(run.header, session, context);
  }
}

async function newestUnfinished(session: Session): Promise<StoredRun> {
  const found = (await session.ports.runs.list({ cluster: session.cluster.name })).find(isResumable);
  if (found === undefined) throw new SpokeError('RUN_NOT_FOUND', `no run of ${session.cluster.name} was interrupted`);
  return found;
}

/** `running or interrupted`: a process that died writes no last line. */
function outcomeOf(run: StoredRun): string {
  const end = endOf(run);
  if (end === undefined) return 'running or interrupted';
  return end.isFinal ? 'cancelled, given up' : end.outcome;
}

function lastStepOf(run: StoredRun): string {
  const last = run.entries.findLast((entry) => 'step' in entry);
  return last !== undefined && 'step' in last ? last.step : '';
}

function secondsOf(run: StoredRun): number {
  return secondsBetween(run.header.startedAt, run.entries.at(-1)?.at ?? run.header.startedAt);
}

function runToJson(run: StoredRun) {
  const { runId, verb, cluster, startedAt, host, user, programVersion, trigger } = run.header;
  const target = verb === 'restore' ? { dataDirectory: (run.header.intent as RestoreIntent).dataDirectory } : {};
  return {
    run: runId,
    verb,
    cluster,
    startedAt: formatInstantIso(startedAt),
    seconds: secondsOf(run),
    outcome: outcomeOf(run),
    lastStep: lastStepOf(run),
    host,
    user,
    programVersion,
    trigger: triggerToJson(trigger),
    ...target,
  };
}

/** Instants as text that sorts as time does. */
export function triggerToJson(trigger: RunTrigger): Readonly<Record<string, string>> {
  return trigger.kind === 'schedule' ? { ...trigger, occurrence: formatInstantIso(trigger.occurrence) } : { ...trigger };
}

function describeEntry(entry: JournalEntry): string {
  switch (entry.kind) {
    case 'attempt':
      return `attempt by process ${entry.pid}`;
    case 'step-started':
      return `${entry.step} started`;
    case 'step-finished':
      return `${entry.step} finished after ${formatDuration(entry.seconds)} ${JSON.stringify(entry.result)}`;
    case 'step-failed':
      return `${entry.step} failed: ${entry.code} ${entry.message}`;
    case 'note':
      return `${entry.message} ${JSON.stringify(entry.detail)}`;
    case 'run-finished':
      return `run ${entry.outcome}`;
  }
}
