import type { BackupLabel } from '../../domain/catalog/base-backup.ts';
import type { StepOf } from '../../plan/step.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { backupOfRun } from '../../workflows/backup/plan.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';

/** Taking backups. */
export function backupHandlers(ports: HandlerPorts): HandlersOf<'take-backup'> {
  return {
    'take-backup': {
      preview: (step) => ports.engine.previewBackup(step),
      run: async (step, context) => ({ repository: step.repository, label: await takeBackup(ports, step, context) }),
    },
  };
}

/** A backup may be complete although its end was not seen (the time ran out, the connection broke): what counts is the catalogue. */
async function takeBackup(ports: HandlerPorts, step: StepOf<'take-backup'>, context: OperationContext): Promise<BackupLabel> {
  try {
    return await ports.engine.takeBackup(step, context);
  } catch (thrown) {
    const label = context.signal.aborted ? undefined : await findBackup(ports, step, context);
    if (label === undefined) throw thrown;
    return label;
  }
}

async function findBackup(
  { catalog }: HandlerPorts,
  { repository, runId }: StepOf<'take-backup'>,
  context: OperationContext,
): Promise<BackupLabel | undefined> {
  try {
    return backupOfRun(await catalog.readRepository(repository, { walArchive: false }, { signal: context.signal }), runId)?.label;
  } catch {
    return undefined;
  }
}
