import type { BackupLabel, RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { StepOf } from '../../plan/step.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { backupOfRun } from '../../workflows/backup/plan.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';

/** The plan was made of what was read so long ago at most: as good as new, unless something has been tried since. */
const RECENT_MS = 5_000;

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
  const { repository, runId, unlessThere } = step;
  if (unlessThere === true) {
    const there = await findBackup(ports, repository, runId, context);
    if (there !== undefined) return there;
  }
  try {
    return await ports.engine.takeBackup({ ...step, ...(await stillMissing(ports, step, context)) }, context);
  } catch (thrown) {
    const label = context.signal.aborted ? undefined : await findBackup(ports, repository, runId, context);
    if (label === undefined) throw thrown;
    return label;
  }
}

/** An earlier try may have brought it to some of them. */
async function stillMissing(ports: HandlerPorts, { alsoInto = [], runId }: StepOf<'take-backup'>, context: OperationContext) {
  if (alsoInto.length === 0) return {};
  const labels = await Promise.all(alsoInto.map((repository) => findBackup(ports, repository, runId, context, RECENT_MS)));
  return { alsoInto: alsoInto.filter((_repository, index) => labels[index] === undefined) };
}

async function findBackup(
  { catalog }: HandlerPorts,
  repository: RepositoryName,
  runId: string,
  context: OperationContext,
  maxAgeMs?: number,
): Promise<BackupLabel | undefined> {
  const options = { walArchive: false, ...(maxAgeMs === undefined ? {} : { maxAgeMs }) };
  try {
    return backupOfRun(await catalog.readRepository(repository, options, { signal: context.signal }), runId)?.label;
  } catch {
    return undefined;
  }
}
