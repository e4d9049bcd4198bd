import { withStreamedWal } from '../catalog/archive-with-tail.ts';
import type { RepositoryName } from '../catalog/base-backup.ts';
import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import { rangeContaining } from '../catalog/wal-archive.ts';
import type { Lsn } from '../postgres/lsn.ts';
import type { SystemIdentifier } from '../postgres/system-identifier.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { segmentNumberOf, segmentStartLsn } from '../postgres/wal-segment.ts';
import { distance } from './lag.ts';

/** WAL that the old primary had, or may have had, and that the new one has not: commits in it are lost with it. */
export interface LostWal {
  readonly timeline: TimelineId;
  /** Where the candidate's WAL ends. */
  readonly fromLsn: Lsn;
  /** The furthest that is known to have existed; the old primary may have written more, unless `isExact`. */
  readonly toLsn: Lsn;
  readonly bytes: bigint;
  /** Whether `toLsn` is where the old primary stopped, by its own files after it had stopped. */
  readonly isExact: boolean;
  /** How much of it each repository has without a hole, so that it can be had from there; the one with most first. */
  readonly held: readonly HeldRange[];
}

export interface HeldRange {
  readonly repository: RepositoryName;
  readonly untilLsn: Lsn;
  readonly bytes: bigint;
}

/** What is known of the WAL beyond a candidate. */
export interface LossFacts {
  readonly systemIdentifier: SystemIdentifier;
  readonly timeline: TimelineId;
  readonly candidateLsn: Lsn;
  /** What the old primary had flushed when it was last heard of, by itself, its standbys or its files. */
  readonly lastKnown: readonly Lsn[];
  /** The end of its WAL, by its own files once it had stopped. */
  readonly stoppedAt?: Lsn;
  readonly snapshots: readonly RepositorySnapshot[];
}

export function lostWal(facts: LossFacts): LostWal {
  const { timeline, candidateLsn: fromLsn, stoppedAt } = facts;
  const ends = endsOf(facts);
  const known = [fromLsn, ...facts.lastKnown, ...ends.map(({ untilLsn }) => untilLsn)];
  const toLsn = stoppedAt !== undefined && stoppedAt >= fromLsn ? stoppedAt : known.reduce((one, other) => (other > one ? other : one));
  const held = heldUntil(toLsn, ends, fromLsn);
  return { timeline, fromLsn, toLsn, bytes: distance(fromLsn, toLsn), isExact: stoppedAt !== undefined && toLsn === stoppedAt, held };
}

/** How much of a range that is lost each repository has. */
export function heldOfLost(
  range: Pick<LossFacts, 'systemIdentifier' | 'timeline'> & Pick<LostWal, 'fromLsn' | 'toLsn'>,
  snapshots: readonly RepositorySnapshot[],
): readonly HeldRange[] {
  return heldUntil(range.toLsn, endsOf({ ...range, candidateLsn: range.fromLsn, snapshots }), range.fromLsn);
}

type SearchedFor = Pick<LossFacts, 'systemIdentifier' | 'timeline' | 'candidateLsn' | 'snapshots'>;

interface HeldEnd {
  readonly repository: RepositoryName;
  readonly untilLsn: Lsn;
}

function endsOf(facts: SearchedFor): readonly HeldEnd[] {
  return facts.snapshots.flatMap((snapshot) => heldBy(snapshot, facts));
}

function heldUntil(toLsn: Lsn, ends: readonly HeldEnd[], fromLsn: Lsn): readonly HeldRange[] {
  return ends
    .map(({ repository, untilLsn }) => {
      const until = untilLsn > toLsn ? toLsn : untilLsn;
      return { repository, untilLsn: until, bytes: distance(fromLsn, until) };
    })
    .filter(({ bytes }) => bytes > 0n)
    .toSorted((left, right) => (left.untilLsn === right.untilLsn ? 0 : left.untilLsn > right.untilLsn ? -1 : 1));
}

/** The end of the archive's run from the candidate's position on. An archived segment may be empty from a switch on: it is an upper bound. */
function heldBy(read: RepositorySnapshot, { systemIdentifier, timeline, candidateLsn }: SearchedFor): readonly HeldEnd[] {
  const { repository, walArchive, systemIdentifier: found } = withStreamedWal(read);
  if (walArchive === undefined || found !== systemIdentifier) return [];
  const size = walArchive.segmentSizeBytes;
  const first = segmentNumberOf(candidateLsn, size);
  const range = rangeContaining(walArchive, timeline, first);
  if (range === undefined) return [];
  const begun = walArchive.streamed?.segments.find(
    (one) => one.timeline === timeline && one.segmentNumber >= first && one.endLsn !== undefined,
  );
  return [{ repository, untilLsn: begun?.endLsn ?? segmentStartLsn(range.lastSegment + 1n, size) }];
}
