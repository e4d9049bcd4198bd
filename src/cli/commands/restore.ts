import { instanceOf } from '../../workflows/hosts.ts';
import { observeForRestore } from '../../workflows/restore/observe.ts';
import { decideRestore } from '../../workflows/restore/decide.ts';
import type { RestoreIntent } from '../../workflows/restore/intent.ts';
import { withStandbys } from '../../workflows/restore-cluster/decide.ts';
import { laterStages } from '../../workflows/restore-cluster/plan.ts';
import { stagesOf } from '../../workflows/restore-cluster/stages.ts';
import { observeTopology } from '../../workflows/observe-topology.ts';
import { backUpAfterChange } from '../backup-after-change.ts';
import { withPreviewsOfHosts } from '../../engine/on-hosts.ts';
import { workflowOfRestore } from '../../engine/restore-cluster-workflow.ts';
import type { SystemIdentifier } from '../../domain/postgres/system-identifier.ts';
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
  const ofNode = decideRestore(request, await observeForRestore(request, session.ports, operation));
  const intent = await ofCluster(ofNode, session, options, context);
  const header = newRunHeader(session, 'restore', intent, context.version, runId);
  const workflow = workflowOfRestore(intent, session.cluster, session.ports);
  const plan = workflow.plan(intent, await workflow.observe(intent, { header, entries: [] }, operation), runId);
  const handlers = await withPreviewsOfHosts(plan, session.handlers, session.ports.hosts, operation);
  const now = session.ports.clock.now();
  const later = laterStages(intent);
  const ofPrimary = renderRestorePlan(intent, plan, handlers, {
    now,
    timezone: session.configuration.timezone,
    full: options.dryRun === true || context.output.verbose,
  });
  const shown = [ofPrimary, ...(later.length === 0 ? [] : ['', 'afterwards', ...later.map((line) => `  ${line}`)])].join('\n');
  if (options.dryRun === true) {
    context.output.result({ dryRun: true, ...intentToJson(intent), plan: planToJson(plan, handlers), afterwards: later }, () => shown);
    return;
  }
  context.output.say(shown);
  if (intent.oldDataDirectory !== null)
    await requireConfirmation(`Replacing ${intent.dataDirectory}`, session.cluster.name, options, context.output, context.signal);
  await runRestore(header, session, context);
}

/** In place, with the standbys of the node. */
async function ofCluster(
  intent: RestoreIntent,
  { cluster, ports }: Session,
  { onlyNode, backup }: RestoreOptions,
  { signal }: CommandContext,
): Promise<RestoreIntent> {
  if (intent.inPlaceNode === null || cluster.nodes.length === 1) return intent;
  const expected = BigInt(intent.systemIdentifier) as SystemIdentifier;
  const observation = await observeTopology(cluster, ports, { signal }, expected);
  return withStandbys(intent, cluster, { onlyNode: onlyNode === true, thenBackup: backup }, observation);
}

/** Runs or resumes a restore and prints what came of it. */
export async function runRestore(header: RunHeader, session: Session, context: CommandContext): Promise<void> {
  const intent = header.intent as RestoreIntent;
  const { failures } = await execute(workflowOfRestore(intent, session.cluster, session.ports), header, session, context);
  const operation = { signal: context.signal };
  for (const { step, error } of failures.filter(({ step }) => step.kind !== 'close-wal-segment')) {
    context.output.exitCode = 3;
    context.output.warn(`${step.title}: ${error.message}`);
  }
  const restored = await (await instanceOf(intent.inPlaceNode, session.ports, operation)).inspectDirectory(intent.dataDirectory, operation);
  const stored = await session.ports.runs.read(header.runId);
  const result = restoreResult(intent, stored, restored);
  if (intent.standbys === undefined) {
    context.output.result({ ...result }, () => renderRestoreResult(result, session.configuration.timezone));
    return;
  }
  const standbys = stagesOf(stored).decided.map(({ node, reseed }) => ({
    node,
    method: reseed?.method ?? null,
    source: reseed?.source ?? null,
  }));
  const backup = intent.thenBackup === true ? await backUpAfterChange(session, context, `${intent.cluster} is restored`) : undefined;
  context.output.result({ ...result, standbys, newBackup: backup ?? null }, () =>
    [
      renderRestoreResult(result, session.configuration.timezone),
      ...standbys.map(
        ({ node, method, source }) =>
          `  standby    ${node} streams${method === null ? '' : `, seeded by ${method} from ${source?.name ?? ''}`}`,
      ),
      ...(backup === undefined ? [] : [`  backup     ${backup.labels.join(', ')} of the new timeline`]),
    ].join('\n'),
  );
}
