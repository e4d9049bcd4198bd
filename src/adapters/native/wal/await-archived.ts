import { parseWalSegmentName } from '../../../domain/postgres/wal-segment.ts';
import type { ArchivedSegmentRequest } from '../../../ports/backup-engine.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { NativeParts } from '../parts.ts';
import { awaitWal } from './await-wal.ts';
import { readHeldWal } from './held-wal.ts';
import { whileShipping } from './shipper.ts';

const POLL_MS = 100;
const DEFAULT_TIMEOUT_MS = 120_000;

/**
 * Resolves once a repository holds a segment that has been acknowledged, and what was acknowledged before it; ships meanwhile, unless a
 * daemon does. Throws TIMED_OUT.
 */
export function awaitArchived(parts: NativeParts, request: ArchivedSegmentRequest, context: OperationContext): Promise<void> {
  const { repository, segment, segmentSizeBytes } = request;
  const { timeline, segmentNumber } = parseWalSegmentName(segment, segmentSizeBytes);
  const span = { timeline, firstSegment: segmentNumber, lastSegment: segmentNumber, segmentBytes: segmentSizeBytes };
  return whileShipping(parts, context.signal, async () => {
    await awaitEarlier(parts, request, context);
    await awaitWal(parts, repository, span, context);
  });
}

/** Where the time runs out, the segment itself is asked for last, which says why. */
async function awaitEarlier(parts: NativeParts, { repository, segment }: ArchivedSegmentRequest, context: OperationContext): Promise<void> {
  const deadlineMs = parts.clock.monotonicMs() + (context.timeoutMs ?? DEFAULT_TIMEOUT_MS) / 2;
  while (parts.clock.monotonicMs() < deadlineMs) {
    const held = (await readHeldWal(parts.settings)).find((one) => one.repository === repository);
    const waits = held?.queue.waiting.some(({ file }) => file.slice(0, segment.length) <= segment) ?? false;
    if (!waits) return;
    await parts.clock.sleep(POLL_MS, context.signal);
  }
}
