import type { RepositoryName } from '../catalog/base-backup.ts';
import { rangeContaining, type WalArchive } from '../catalog/wal-archive.ts';
import { addMicros, type Instant } from '../time/instant.ts';
import type { LocalSegment, LocalWal } from './local-wal.ts';

/** What decides what becomes of whole segments that have been received. */
export interface HoleFacts {
  readonly local: LocalWal;
  /** Of every repository of the cluster; absent where it could not be listed. */
  readonly archives: ReadonlyMap<RepositoryName, WalArchive | undefined>;
  /** When the archives were listed. */
  readonly listedAt: Instant;
  /** So much of what is not archived is kept here at most. */
  readonly mostBytes: number;
}

/** Oldest first. */
export interface HoleDecision {
  /** A repository lacks them, and the archiver has had time enough. */
  readonly fill: readonly LocalSegment[];
  /** Every repository has them. */
  readonly discard: readonly LocalSegment[];
  /** Not every repository is known to have them, and there is no room for them here. */
  readonly overflow: readonly LocalSegment[];
}

/** After so long a segment that is not archived is no longer only on its way. */
export const ARCHIVER_GRACE_SECONDS = 120;

/** The newest segments stay: by them the receiver knows where to go on. Pure. */
export function decideHoles({ local, archives, listedAt, mostBytes }: HoleFacts): HoleDecision {
  const whole = local.segments.slice(0, -1).filter(({ isWhole }) => isWhole);
  const held = whole.filter((segment) =>
    [...archives.values()].every((archive) => archive !== undefined && holds(archive, segment) === 'yes'),
  );
  const others = whole.filter((segment) => !held.includes(segment));
  const settledBefore = addMicros(listedAt, -BigInt(ARCHIVER_GRACE_SECONDS) * 1_000_000n);
  const fill = others.filter(
    (segment) =>
      segment.writtenAt < settledBefore &&
      [...archives.values()].some((archive) => archive !== undefined && holds(archive, segment) === 'no'),
  );
  return { fill, discard: held, overflow: overflowOf(others, mostBytes) };
}

function holds(archive: WalArchive, { timeline, segmentNumber }: LocalSegment): 'yes' | 'no' | 'unknown' {
  if (archive.listedFrom !== undefined && segmentNumber < archive.listedFrom) return 'unknown';
  return rangeContaining(archive, timeline, segmentNumber) === undefined ? 'no' : 'yes';
}

function overflowOf(segments: readonly LocalSegment[], mostBytes: number): readonly LocalSegment[] {
  let bytes = 0;
  const kept = segments.toReversed().findIndex(({ writtenBytes }) => (bytes += writtenBytes) > mostBytes);
  return kept === -1 ? [] : segments.slice(0, segments.length - kept);
}
