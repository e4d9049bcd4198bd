import { parseWalSegmentName } from '../../../domain/postgres/wal-segment.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { findPrimary } from '../backup/source.ts';
import type { NativeParts } from '../parts.ts';
import { awaitWal } from './await-wal.ts';
import { adoptCluster } from './configuration.ts';
import { whileShipping } from './shipper.ts';

const TIMEOUT_MS = 60_000;

/** Has the primary close a WAL segment and waits until it is in every repository. Throws TIMED_OUT, POSTGRES_UNAVAILABLE, REPOSITORY_*. */
export async function checkArchiving(parts: NativeParts, context: OperationContext): Promise<void> {
  const primary = await findPrimary(parts, undefined, context);
  const segmentBytes = primary.server.walSegmentSizeBytes;
  await adoptCluster(parts, context);
  await whileShipping(parts, context.signal, async () => {
    const { segment } = await parts.postgresWriter.closeWalSegment(primary.address, context);
    const { timeline, segmentNumber } = parseWalSegmentName(segment, segmentBytes);
    const span = { timeline, firstSegment: segmentNumber, lastSegment: segmentNumber, segmentBytes };
    await Promise.all(parts.settings.repositories.map(({ name }) => awaitWal(parts, name, span, { timeoutMs: TIMEOUT_MS, ...context })));
  });
}
