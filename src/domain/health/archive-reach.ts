import type { BaseBackup } from '../catalog/base-backup.ts';
import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import { nextArchivedSegment, rangeContaining, type WalArchive } from '../catalog/wal-archive.ts';
import { type Lsn, lsnOf } from '../postgres/lsn.ts';
import { historyOf, rootHistory, type TimelineHistory } from '../postgres/timeline-history.ts';
import { segmentNumberOf, segmentStartLsn } from '../postgres/wal-segment.ts';
import { contiguousWalFrom, walPath, type WalPathPiece } from '../recovery/timeline-path.ts';
import { isOfListedGeneration, isOnPath, missingReferences } from '../recovery/usable-backup.ts';
import type { Instant } from '../time/instant.ts';
import type { ArchiveFacts, ArchivingPrimary } from './archive-facts.ts';
import { type AcknowledgedWal, firstWaitingSegment } from './acknowledged.ts';

/** What one repository lacks of the WAL that its newest backup needs to be replayed to the end. */
export interface ArchiveReach {
  /** The end of what can be replayed without a hole. */
  readonly endLsn: Lsn;
  /** When the last segment before `endLsn` came in; absent where the repository does not tell. */
  readonly archivedUntil?: Instant;
  /** Closed segments that the repository does not hold, in order of replay. */
  readonly missing: readonly WalPathPiece[];
  /** The newest backup that the primary's WAL can be replayed onto; absent where there is none. */
  readonly backup?: BaseBackup;
  /** The primary's timeline is not described in the repository, and the backup was taken before it began. */
  readonly lacksHistory: boolean;
}

/**
 * The ancestry of the primary's timeline, from wherever it was found. Where it was found nowhere, only what was written on the
 * timeline itself is judged.
 */
export function primaryHistory({ timeline }: ArchivingPrimary, facts: ArchiveFacts): TimelineHistory {
  const histories = [...facts.snapshots.flatMap((snapshot) => snapshot.walArchive?.histories ?? []), ...facts.histories];
  return historyOf(timeline, histories) ?? rootHistory(timeline);
}

/** Compares what the primary has closed with what a repository holds. The segment that is being written is not missing. */
export function archiveReach(
  snapshot: RepositorySnapshot,
  archive: WalArchive,
  primary: ArchivingPrimary,
  history: TimelineHistory,
  acknowledged: AcknowledgedWal,
): ArchiveReach {
  const size = primary.segmentSizeBytes;
  const closedEnd = segmentStartLsn(segmentNumberOf(primary.insertLsn, size), size);
  const backup = newestBackupOn(history, snapshot);
  const wanted = backup?.startLsn ?? startWithoutBackup(archive, primary, history, acknowledged) ?? closedEnd;
  const startLsn = notBeforeListing(wanted, archive);
  const wal = contiguousWalFrom(archive, history, startLsn);
  const isDescribed = historyOf(primary.timeline, archive.histories) !== undefined;
  return {
    endLsn: wal.endLsn,
    ...(wal.lastArchivedAt === undefined ? {} : { archivedUntil: wal.lastArchivedAt }),
    missing: walPath(history, startLsn, closedEnd, size).flatMap((piece) => missingIn(archive, piece)),
    ...(backup === undefined ? {} : { backup }),
    lacksHistory: !isDescribed && backup !== undefined && backup.timeline !== primary.timeline,
  };
}

function newestBackupOn(history: TimelineHistory, snapshot: RepositorySnapshot): BaseBackup | undefined {
  return snapshot.backups
    .filter((backup) => !backup.hasPageErrors && isOfListedGeneration(backup, snapshot) && isOnPath(backup, history))
    .filter((backup) => missingReferences(backup, snapshot.backups).length === 0)
    .reduce<BaseBackup | undefined>(
      (newest, backup) => (newest !== undefined && newest.stopLsn > backup.stopLsn ? newest : backup),
      undefined,
    );
}

/** No backup needs older holes then: the last run of segments is looked at, and what PostgreSQL says of what follows it. */
function startWithoutBackup(
  archive: WalArchive,
  primary: ArchivingPrimary,
  history: TimelineHistory,
  acknowledged: AcknowledgedWal,
): Lsn | undefined {
  const path = new Set([...history.ancestors.map(({ timeline }) => timeline), history.timeline]);
  const lastRun = archive.ranges.findLast((range) => path.has(range.timeline))?.firstSegment;
  const known = [lastRun, acknowledged.last?.segmentNumber, firstWaitingSegment(primary)].filter((segment) => segment !== undefined);
  if (known.length === 0) return undefined;
  return segmentStartLsn(
    known.reduce((least, segment) => (segment < least ? segment : least)),
    primary.segmentSizeBytes,
  );
}

/** What lies before the listing is not known, and so not missing. */
function notBeforeListing(lsn: Lsn, { listedFrom, segmentSizeBytes }: WalArchive): Lsn {
  const begin = listedFrom === undefined ? lsnOf(0n) : segmentStartLsn(listedFrom, segmentSizeBytes);
  return lsn < begin ? begin : lsn;
}

function missingIn(archive: WalArchive, { timeline, firstSegment, lastSegment }: WalPathPiece): WalPathPiece[] {
  const missing: WalPathPiece[] = [];
  for (let segment = firstSegment; segment <= lastSegment; ) {
    const range = rangeContaining(archive, timeline, segment);
    if (range !== undefined) {
      segment = range.lastSegment + 1n;
      continue;
    }
    const next = nextArchivedSegment(archive, timeline, segment) ?? lastSegment + 1n;
    const end = next > lastSegment ? lastSegment : next - 1n;
    missing.push({ timeline, firstSegment: segment, lastSegment: end });
    segment = end + 1n;
  }
  return missing;
}
