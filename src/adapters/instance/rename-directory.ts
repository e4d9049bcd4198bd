import { rename } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { SpokeError } from '../../errors.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { awaitUnwritten } from './await-unwritten.ts';
import { syncDirectory } from './durable-files.ts';
import { errnoOf } from '../common/file-error.ts';
import { translating } from './file-error.ts';
import { lookAt, staleDirectory } from './identity.ts';
import { requireNotRunning } from './require-not-running.ts';

/**
 * rename(2), and both parents made durable. rename(2) itself replaces an empty directory and nothing else, in one step.
 * A rename that was already done (by a run that was interrupted right after) is made durable and is no error.
 * Throws PLAN_STALE, REFUSED_UNSAFE_DIRECTORY, REFUSED_SERVER_RUNNING.
 */
export async function renameDirectory(from: string, to: string, identity: string, runner: ProcessRunner): Promise<void> {
  const [source, destination] = [resolve(from), resolve(to)];
  const [found, occupant] = [await lookAt(source), await lookAt(destination)];
  const isDone = found.kind === 'absent' && occupant.kind === 'directory' && occupant.identity === identity;
  if (!isDone) {
    if (found.kind !== 'directory' || found.identity !== identity)
      throw staleDirectory(source, identity, found.kind === 'directory' ? found.identity : found.kind);
    await requireNotRunning(source, identity, runner);
    await awaitUnwritten(source);
    await translating(`rename ${source} to ${destination}`, () => renameOver(source, destination));
  }
  await translating(`make the rename of ${source} durable`, async () => {
    await syncDirectory(dirname(destination));
    if (dirname(source) !== dirname(destination)) await syncDirectory(dirname(source));
  });
}

async function renameOver(source: string, destination: string): Promise<void> {
  try {
    await rename(source, destination);
  } catch (thrown) {
    const reason = refusalReason(errnoOf(thrown));
    if (reason === undefined) throw thrown;
    throw new SpokeError('REFUSED_UNSAFE_DIRECTORY', `${source} cannot be renamed to ${destination}: ${reason}.`, {
      details: { from: source, to: destination },
      cause: thrown,
    });
  }
}

function refusalReason(errno: string | undefined): string | undefined {
  switch (errno) {
    case 'ENOTEMPTY':
    case 'EEXIST':
      return 'the new name is taken by a directory that is not empty';
    case 'ENOTDIR':
      return 'the new name is taken by something that is no directory';
    case 'EBUSY':
      return 'one of them is a mount point';
    case 'EXDEV':
      return 'they are on different file systems';
    case 'EINVAL':
      return 'one lies inside the other';
    default:
      return undefined;
  }
}
