import type { RepositoryName } from '../catalog/base-backup.ts';
import { nextArchivedSegment, rangeContaining, type WalArchive } from '../catalog/wal-archive.ts';
import type { WalPathPiece } from '../recovery/timeline-path.ts';
import type { ArchiveFacts, ArchiveQueue, ArchivingPrimary } from './archive-facts.ts';

/** The primary as one repository sees it: what the engine holds for that repository waits as what is in pg_wal does. */
export function primaryFor(repository: RepositoryName, primary: ArchivingPrimary, { held = [] }: ArchiveFacts): ArchivingPrimary {
  const queues = held.filter((one) => one.repository === repository && one.queue.count > 0).map(({ queue }) => queue);
  return queues.length === 0 ? primary : { ...primary, queue: joined(primary.queue === undefined ? queues : [...queues, primary.queue]) };
}

function joined(queues: readonly ArchiveQueue[]): ArchiveQueue {
  const waiting = queues.flatMap((queue) => queue.waiting);
  const first = new Map(waiting.toSorted((left, right) => Number(right.since - left.since)).map((one) => [one.file, one]));
  const unlisted = queues.reduce((count, queue) => count + Math.max(0, queue.count - queue.waiting.length), 0);
  return { count: first.size + unlisted, waiting: [...first.values()].toSorted((left, right) => (left.file < right.file ? -1 : 1)) };
}

/**
 * Of what a repository lacks, what is at the place that the engine fills it from, by what was read of that place: it may yet come, whether
 * or not somebody has noted so. Both in order.
 */
export function partHeld(
  missing: readonly WalPathPiece[],
  repository: RepositoryName,
  { held = [], snapshots }: ArchiveFacts,
): { readonly lost: readonly WalPathPiece[]; readonly held: readonly WalPathPiece[] } {
  const sources = held.filter((one) => one.repository === repository).map(({ from }) => from);
  const archive = snapshots.find((snapshot) => sources.includes(snapshot.repository))?.walArchive;
  if (archive === undefined) return { lost: missing, held: [] };
  const pieces = missing.flatMap((piece) => [...cut(piece, archive)]);
  return {
    lost: pieces.filter(({ isHeld }) => !isHeld).map(({ piece }) => piece),
    held: pieces.filter(({ isHeld }) => isHeld).map(({ piece }) => piece),
  };
}

/** A piece in parts that an archive has and such that it has not. */
function* cut(piece: WalPathPiece, archive: WalArchive): Generator<{ readonly piece: WalPathPiece; readonly isHeld: boolean }> {
  const { timeline, lastSegment } = piece;
  for (let first = piece.firstSegment; first <= lastSegment; ) {
    const range = rangeContaining(archive, timeline, first);
    const beyond = range === undefined ? nextArchivedSegment(archive, timeline, first) : range.lastSegment + 1n;
    const last = beyond === undefined || beyond > lastSegment ? lastSegment : beyond - 1n;
    yield { piece: { ...piece, firstSegment: first, lastSegment: last }, isHeld: range !== undefined };
    first = last + 1n;
  }
}
