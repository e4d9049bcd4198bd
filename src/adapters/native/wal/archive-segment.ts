import { join } from 'node:path';
import { type ErrorCode, SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { asUser, type NativeParts } from '../parts.ts';
import { confFileOf } from './places.ts';

const TIMEOUT_MS = 10 * 60_000;
/** docs/native-wal.md lists them. */
const CODES: ReadonlyMap<number, ErrorCode> = new Map([
  [45, 'BACKUP_DAMAGED'],
  [65, 'REFUSED_WRONG_CLUSTER'],
  [69, 'REPOSITORY_UNAVAILABLE'],
  [74, 'REPOSITORY_UNAVAILABLE'],
  [75, 'REPOSITORY_UNAVAILABLE'],
]);

/**
 * Archives a whole segment that lies elsewhere than in pg_wal, as archive_command does. Throws BACKUP_DAMAGED where other bytes are there under
 * its name, REFUSED_WRONG_CLUSTER, REPOSITORY_UNAVAILABLE, TOOL_FAILED.
 */
export async function archiveSegment({ settings, runner }: NativeParts, path: string, context: OperationContext): Promise<void> {
  const { exitCode, stderrTail } = await runner.run({
    file: join(settings.programDirectory, 'spoke-wal-push'),
    argv: ['-c', confFileOf(settings), path],
    ...asUser(settings),
    signal: context.signal,
    timeoutMs: context.timeoutMs ?? TIMEOUT_MS,
  });
  if (exitCode === 0) return;
  throw new SpokeError(CODES.get(exitCode) ?? 'TOOL_FAILED', stderrTail.trim(), { details: { exitCode } });
}
