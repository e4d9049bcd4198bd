import { asSpokeError, SpokeError } from '../../errors.ts';
import { isActive, pinOfAnnotation } from '../../domain/retention/pin.ts';
import type { StepOf } from '../../plan/step.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { StepResult } from '../step-handler.ts';
import type { HandlerPorts, HandlersOf } from './ports.ts';

/** Letting backups and WAL go. */
export function expireHandlers(ports: HandlerPorts): HandlersOf<'expire-backup' | 'expire-wal' | 'abort-uploads'> {
  const { engine } = ports;
  return {
    'expire-backup': {
      preview: (step) => engine.previewExpireBackup(step),
      run: async (step, context) => {
        await requireDispensable(ports, step, context);
        return unlessDenied(() => engine.expireBackup(step, context), {
          repository: step.repository,
          label: step.label,
          dependents: step.dependents,
        });
      },
    },
    'expire-wal': {
      preview: (step) => engine.previewExpireWal(step),
      run: (step, context) => unlessDenied(() => engine.expireWal(step, context), { repository: step.repository, floor: step.floor }),
    },
    'abort-uploads': {
      preview: ({ uploads }) => uploads.map(({ key, uploadId }) => ({ argv: ['(s3)', 'AbortMultipartUpload', key, uploadId] })),
      run: ({ repository, uploads }, { signal }) =>
        unlessDenied(
          () =>
            ports.bucketWriters.changeBucket(repository, async (bucket) => {
              for (const upload of uploads) await bucket.abortMultipartUpload(upload, signal);
            }),
          { repository, abortedUploads: uploads.length },
        ),
    },
  };
}

/** Looks once more right before: a pin may have come meanwhile, and another full backup must be there. Throws PLAN_STALE. */
async function requireDispensable(ports: HandlerPorts, step: StepOf<'expire-backup'>, context: OperationContext): Promise<void> {
  const { repository, label, dependents } = step;
  const going = [label, ...dependents];
  const stored = await ports.pins.list(step.cluster);
  const { backups } = await ports.catalog.readRepository(repository, { walArchive: false }, { signal: context.signal });
  const pins = [...stored.filter((pin) => pin.repository === repository), ...backups.flatMap((backup) => pinOfAnnotation(backup) ?? [])];
  const pinned = pins.find((pin) => going.includes(pin.label) && isActive(pin, ports.clock.now()));
  if (pinned !== undefined) throw new SpokeError('PLAN_STALE', `${pinned.label} in repository ${repository} has been pinned meanwhile`);
  const top = backups.findIndex((backup) => backup.label === label);
  if (top >= 0 && !backups.slice(top).some((backup) => backup.type === 'full' && !going.includes(backup.label)))
    throw new SpokeError('PLAN_STALE', `repository ${repository} has no newer full backup than ${label} any more`);
}

/** A store that keeps what is to be deleted (object lock, no right to delete) has not failed: what is kept is kept. */
async function unlessDenied(expire: () => Promise<void>, result: StepResult): Promise<StepResult> {
  try {
    await expire();
    return result;
  } catch (thrown) {
    const error = asSpokeError(thrown);
    if (error.code !== 'REPOSITORY_DENIED') throw error;
    return { ...result, skipped: error.message };
  }
}
