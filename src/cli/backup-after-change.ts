import { setupArchivingWorkflow } from '../engine/simple-workflows.ts';
import { asSpokeError } from '../errors.ts';
import type { BackupIntent } from '../workflows/backup/plan.ts';
import { interruptsService, type SetupArchivingIntent } from '../workflows/setup-archiving/plan.ts';
import type { CommandContext } from './command-context.ts';
import { takeBackups } from './commands/backup.ts';
import { execute } from './execute.ts';
import { newRunHeader, recompose, type Session } from './session.ts';

/**
 * Has the new primary archive, and takes the backup of its timeline: runs of their own, by parts that were put together for the new primary.
 * The primary has changed whatever becomes of them: undefined, and a finding, where there is no backup.
 */
export async function backUpAfterChange(
  before: Session,
  context: CommandContext,
  whatHappened = 'the primary has changed',
): Promise<{ readonly run: string; readonly labels: readonly string[] } | undefined> {
  if (before.cluster.repositories.length === 0) return undefined;
  try {
    const session = await recompose(before, context);
    await archiveFromNewPrimary(session, context);
    return await backUp(session, context);
  } catch (thrown) {
    if (context.signal.aborted) throw thrown;
    const { message } = asSpokeError(thrown);
    context.output.exitCode = 3;
    context.output.warn(`${whatHappened}, but there is no backup of its new timeline: ${message}; then: spoke-backup backup`);
    return undefined;
  }
}

async function archiveFromNewPrimary(session: Session, context: CommandContext): Promise<void> {
  const intent: SetupArchivingIntent = { cluster: session.cluster.name, restartAllowed: false };
  const workflow = setupArchivingWorkflow(session.cluster, session.ports);
  const runId = session.newRunId('setup-archiving');
  const header = newRunHeader(session, 'setup-archiving', intent, context.version, runId);
  const plan = workflow.plan(intent, await workflow.observe(intent, { header, entries: [] }, { signal: context.signal }), runId);
  if (interruptsService(plan)) {
    context.output.exitCode = 3;
    context.output.warn('the new primary has to be restarted before it archives: spoke-backup setup archiving');
    return;
  }
  await execute(workflow, header, session, context);
}

async function backUp(session: Session, context: CommandContext) {
  const intent: BackupIntent = {
    cluster: session.cluster.name,
    type: 'incr',
    repositories: session.cluster.repositories.map(({ name }) => name),
  };
  const header = newRunHeader(session, 'backup', intent, context.version, session.newRunId('backup'));
  const { run, taken, failures } = await takeBackups(header, session, context);
  if (failures.length > 0) context.output.exitCode = 3;
  return { run, labels: taken.map(({ label }) => String(label)) };
}
