import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import { segmentNumberBefore, segmentNumberOf } from '../../../domain/postgres/wal-segment.ts';
import type { NativeCatalog } from '../catalog/catalog.ts';
import type { NativeParts } from '../parts.ts';
import type { NativeArchiving, SegmentSpan } from '../wal/archiving.ts';

/** What takes backups works with. */
export interface TakingParts {
  readonly parts: NativeParts;
  readonly catalog: NativeCatalog;
  readonly wal: Pick<NativeArchiving, 'awaitWal' | 'whileShipping'>;
}

/** The WAL without which a backup cannot become consistent. */
export function spanOf({ timeline, startLsn, stopLsn, walSegmentBytes }: BackupRecord): SegmentSpan {
  const firstSegment = segmentNumberOf(startLsn, walSegmentBytes);
  const last = segmentNumberBefore(stopLsn, walSegmentBytes);
  return { timeline, firstSegment, lastSegment: last < firstSegment ? firstSegment : last, segmentBytes: walSegmentBytes };
}
