import type { Instant } from '../time/instant.ts';
import { addMicros } from '../time/instant.ts';
import type { LocalSegment, LocalWal, TailNews, TailObject } from './local-wal.ts';

/** What is known of the tail in one repository, and of its archive. */
export interface TailFacts {
  readonly local: LocalWal;
  /** Whether what is here is all that the primary has told so far: its receiver streams. */
  readonly isCurrent: boolean;
  /** How many bytes are in the tail of a segment, or of its beginning (see storedName). Absent: none, or nobody knows how many. */
  readonly stored: ReadonlyMap<string, number>;
  readonly objects: readonly TailObject[];
  /** Whether the archive of the repository will have that segment whole, as far as PostgreSQL has been told. */
  isAcknowledged(segment: LocalSegment): boolean;
  /** Whether it was seen there. */
  isArchived(segment: string): boolean;
  readonly announcedAt?: Instant;
  /** For how many days what an abandoned timeline has left is kept. */
  readonly keepDays: number;
  readonly now: Instant;
}

/** In this order. */
export interface TailDecision {
  /** Oldest first. */
  readonly put: readonly LocalSegment[];
  readonly announce?: TailNews;
  readonly remove: readonly TailObject[];
}

/** A tail that has not grown is confirmed so often: whoever reads it then knows that nothing is missing. */
export const CONFIRM_EVERY_SECONDS = 30;
const DAY_MICROS = 86_400_000_000n;

/**
 * What is to be done about the tail in a repository. A segment goes into it while the archive lacks it, again each time when it has grown,
 * and once more when it is whole; it leaves when it was seen in the archive. Pure.
 */
export function decideTail(facts: TailFacts): TailDecision {
  const { local, stored } = facts;
  const newest = local.segments.at(-1);
  const put = local.segments.filter(
    (segment) =>
      segment.writtenBytes > (stored.get(storedName(segment)) ?? 0) && !isSpared(segment, facts) && !facts.isArchived(segment.name),
  );
  const announce = newsOf(facts, newest, put.length > 0);
  return { put, ...(announce === undefined ? {} : { announce }), remove: facts.objects.filter((object) => isOver(object, newest, facts)) };
}

/** What is counted apart: a segment that is whole, and what was stored of it before. */
export function storedName({ name, isWhole }: LocalSegment): string {
  return isWhole ? name : `${name}.partial`;
}

/**
 * What came so fast that no part of it was stored yet and is acknowledged need not be. Where a part was it is made whole: archive_command may
 * have lied, and the tail would end in the middle of that segment.
 */
function isSpared(segment: LocalSegment, { stored, objects, isAcknowledged }: TailFacts): boolean {
  const isStored = stored.has(`${segment.name}.partial`) || objects.some((object) => object.segment === segment.name);
  return !isStored && isAcknowledged(segment);
}

function newsOf(facts: TailFacts, newest: LocalSegment | undefined, hasGrown: boolean): TailNews | undefined {
  const { systemIdentifier, segmentSizeBytes, histories, at } = facts.local;
  if (newest === undefined || systemIdentifier === undefined || segmentSizeBytes === undefined) return undefined;
  const { announcedAt, now, isCurrent } = facts;
  const isDue = isCurrent && (announcedAt === undefined || now >= addMicros(announcedAt, BigInt(CONFIRM_EVERY_SECONDS) * 1_000_000n));
  if (!hasGrown && !isDue) return undefined;
  const history = histories.find(({ timeline }) => timeline === newest.timeline);
  return { systemIdentifier, segmentSizeBytes, newest, at, ...(history === undefined ? {} : { history }) };
}

/**
 * What the archive holds needs no second copy. What a timeline has left that was abandoned, its last segment, will never be archived as a
 * whole; it may hold the only copy of what a promotion has lost, so it stays as long as everything else does.
 */
function isOver(object: TailObject, newest: LocalSegment | undefined, { isArchived, objects, keepDays, now }: TailFacts): boolean {
  if (isArchived(object.segment)) return true;
  if (!object.isWhole && objects.some((other) => other.isWhole && other.segment === object.segment)) return true;
  const isAbandoned = newest !== undefined && object.timeline < newest.timeline;
  return isAbandoned && object.modifiedAt < addMicros(now, -BigInt(keepDays) * DAY_MICROS);
}
