import { asSpokeError, type ErrorCode, SpokeError } from '../../errors.ts';
import type { RestoreArea } from '../../plan/step.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { HandlerPorts } from './ports.ts';

/** What a server and its restore_command seem to die of when they cannot write. */
const SEEMS: readonly ErrorCode[] = ['POSTGRES_FAILED', 'REPOSITORY_UNAVAILABLE', 'TARGET_AFTER_WINDOW'];
/** strerror(ENOSPC), which PostgreSQL and pgBackRest print. */
const ENOSPC = 'No space left on device';
const NOTHING_LEFT_BYTES = 1024n * 1024n;

/**
 * Does the work of an isolated server's step, and calls a full file system by its name. A server that dies of one may not even
 * have been able to log it: then the space that is left tells.
 */
export async function orDiskFull<T>(ports: HandlerPorts, area: RestoreArea, context: OperationContext, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const error = asSpokeError(thrown);
    if (!SEEMS.includes(error.code) || context.signal.aborted) throw error;
    const { fileSystem, freeBytes } = await ports.instance.inspectDirectory(area.root, context);
    const said = `${error.message}\n${String(error.details['serverLog'] ?? '')}`;
    const isFull = freeBytes < NOTHING_LEFT_BYTES;
    if (!isFull && !said.includes(ENOSPC)) throw error;
    // It may be that of a tablespace.
    const where = isFull ? `the file system ${fileSystem} is full` : 'a file system is full';
    throw new SpokeError('DISK_FULL', `${where}: ${error.message}`, { details: error.details, cause: error });
  }
}
