import type { TimelineHistory } from '../postgres/timeline-history.ts';
import type { Instant } from '../time/instant.ts';
import type { RepositorySnapshot } from './repository-snapshot.ts';
import { rangeContaining, type WalArchive, walRangesOf } from './wal-archive.ts';
import type { TailSegment, WalTail } from './wal-tail.ts';

/** What can be recovered from a repository: its archive with what was streamed beyond it. */
export function withStreamedWal(snapshot: RepositorySnapshot): RepositorySnapshot {
  const { walArchive, tail, systemIdentifier } = snapshot;
  if (walArchive === undefined || tail === undefined || systemIdentifier !== tail.systemIdentifier) return snapshot;
  return { ...snapshot, walArchive: archiveWithTail(walArchive, tail) };
}

/** The archive as it would be with the tail in it; of its last segments the beginning alone may be there. */
export function archiveWithTail(archive: WalArchive, tail: WalTail): WalArchive {
  if (tail.segmentSizeBytes !== archive.segmentSizeBytes) return archive;
  const beyond = tail.segments.filter(({ timeline, segmentNumber }) => rangeContaining(archive, timeline, segmentNumber) === undefined);
  if (beyond.length === 0) return archive;
  return {
    ...archive,
    ranges: joined(archive, beyond, tail.at),
    histories: allHistories(archive, tail),
    streamed: { archive, segments: beyond },
  };
}

function joined(archive: WalArchive, beyond: readonly TailSegment[], at: Instant): WalArchive['ranges'] {
  const added = walRangesOf(beyond.map(({ timeline, segmentNumber }) => ({ timeline, segmentNumber, archivedAt: at })));
  const all = [...archive.ranges, ...added].toSorted(
    (left, right) => left.timeline - right.timeline || (left.firstSegment < right.firstSegment ? -1 : 1),
  );
  return all.reduce<WalArchive['ranges']>((ranges, range) => {
    const before = ranges.at(-1);
    if (before?.timeline !== range.timeline || before.lastSegment + 1n !== range.firstSegment) return [...ranges, range];
    return [...ranges.slice(0, -1), { ...range, firstSegment: before.firstSegment }];
  }, []);
}

function allHistories(archive: WalArchive, tail: WalTail): readonly TimelineHistory[] {
  const known = new Set(archive.histories.map(({ timeline }) => timeline));
  return [...archive.histories, ...tail.histories.filter(({ timeline }) => !known.has(timeline))].toSorted(
    (left, right) => left.timeline - right.timeline,
  );
}
