import type { TailSegment } from '../catalog/wal-tail.ts';
import type { WalArchive } from '../catalog/wal-archive.ts';
import type { Lsn } from '../postgres/lsn.ts';
import type { TimelineHistory } from '../postgres/timeline-history.ts';
import { segmentStartLsn } from '../postgres/wal-segment.ts';
import { addMicros, type Instant } from '../time/instant.ts';
import type { RecoveryTarget } from './target.ts';
import { type ContiguousWal, contiguousWalFrom, walPath } from './timeline-path.ts';

/** What streamed WAL adds to what replay from one backup reaches. */
export interface StreamedReach {
  /** What the archive alone reaches. */
  readonly archived: ContiguousWal;
  /** On the way of replay, oldest first; the archive has none of them. */
  readonly segments: readonly TailSegment[];
  /** Exclusive. */
  readonly endLsn: Lsn;
  readonly at: Instant | undefined;
  /** Replay to the end comes at least so far: PostgreSQL tells where the last record began. */
  readonly leastLsn: Lsn;
}

/** A segment comes to the archive some time after its last commit. */
const ARCHIVING_TAKES_MICROS = 600_000_000n;

/** Undefined where streamed WAL leads no further than the archive. `archive`: with what was streamed counted in. */
export function streamedReach(archive: WalArchive, history: TimelineHistory, startLsn: Lsn): StreamedReach | undefined {
  if (archive.streamed === undefined) return undefined;
  const whole = contiguousWalFrom(archive, history, startLsn);
  const archived = contiguousWalFrom(archive.streamed.archive, history, startLsn);
  if (whole.endLsn <= archived.endLsn) return undefined;
  const size = archive.segmentSizeBytes;
  const pieces = walPath(history, archived.endLsn, whole.endLsn, size);
  const segments = archive.streamed.segments.filter(({ timeline, segmentNumber }) =>
    pieces.some((piece) => piece.timeline === timeline && piece.firstSegment <= segmentNumber && segmentNumber <= piece.lastSegment),
  );
  const last = segments.at(-1);
  if (last === undefined) return undefined;
  const begin = segmentStartLsn(last.segmentNumber, size);
  // Of a segment in which nothing begins that is whole, the one before it has the last record.
  const leastLsn =
    last.lastRecordLsn ??
    (last.endLsn === undefined ? begin : segmentStartLsn(last.segmentNumber === 0n ? 0n : last.segmentNumber - 1n, size));
  return { archived, segments, endLsn: whole.endLsn, at: whole.lastArchivedAt, leastLsn };
}

/**
 * Whether a target may lie in streamed WAL. `latest` does; where a transaction or a restore point lies nobody knows; a time or position
 * does where the archive alone does not surely reach it. Anything else is replayed from the archive alone.
 */
export function mayLieInStreamedWal(target: RecoveryTarget, { endLsn, lastArchivedAt }: ContiguousWal): boolean {
  switch (target.kind) {
    case 'latest':
    case 'xid':
    case 'name':
      return true;
    case 'immediate':
      return false;
    case 'lsn':
      return target.lsn >= endLsn;
    case 'time':
      return lastArchivedAt === undefined || target.time > addMicros(lastArchivedAt, -ARCHIVING_TAKES_MICROS);
  }
}
