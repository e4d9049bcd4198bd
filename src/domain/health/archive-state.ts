import type { RepositoryName } from '../catalog/base-backup.ts';
import type { RepositorySnapshot, UnreadableRepository } from '../catalog/repository-snapshot.ts';
import { rangeContaining, type WalArchive } from '../catalog/wal-archive.ts';
import { classifyWalFile, parseWalSegmentName, segmentStartLsn } from '../postgres/wal-segment.ts';
import { timelineHistoryFileName } from '../postgres/timeline-history.ts';
import type { WalPathPiece } from '../recovery/timeline-path.ts';
import { type Instant, secondsBetween } from '../time/instant.ts';
import {
  type AcknowledgedWal,
  acknowledgedWal,
  archives,
  firstNameOf,
  inOrder,
  lastNameOf,
  partMissing,
  segmentCountOf,
} from './acknowledged.ts';
import type { ArchiveFacts, ArchivingPrimary, PushError } from './archive-facts.ts';
import { type ArchiveReach, archiveReach, primaryHistory } from './archive-reach.ts';
import { partHeld, primaryFor } from './held-wal.ts';
import { waitingTime } from './waiting-time.ts';

/** How the archive of the primary's WAL in one repository is. */
export type ArchiveState =
  /** Every segment that PostgreSQL has closed is there, or has only just been closed. */
  | { readonly state: 'healthy' }
  /** WAL waits that should have come by now. `seconds` is absent where it is only that so much of it waits. */
  | { readonly state: 'lagging'; readonly seconds?: number; readonly bytes: bigint; readonly segments: number }
  /** WAL waits, and it is known why. `since` is the first that is known of it. */
  | { readonly state: 'failing'; readonly since?: Instant; readonly bytes?: bigint; readonly lastError: string }
  /** WAL is missing for good, and no backup has been taken since. File names. */
  | {
      readonly state: 'gap';
      readonly firstMissing: string;
      readonly lastMissing: string;
      readonly segments: number;
      /** Nothing that was committed later can be recovered from this repository; absent where it does not tell. */
      readonly recoverableUntil?: Instant;
      /** Why a backup, which would end it, cannot be taken now. */
      readonly blockedBy?: string;
    }
  /** It cannot be listed, or there is nothing to compare it with: not the same as missing. */
  | { readonly state: 'unknown'; readonly reason: string };

export interface RepositoryArchive {
  readonly repository: RepositoryName;
  readonly archive: ArchiveState;
}

/** For so long a closed segment may be on its way; less where less is promised or a segment is closed more often. */
const TOLERATED_SECONDS = 60;
/** With several on the way at once, that many of which nothing tells the age are no lag yet. */
const TOLERATED_SEGMENTS = 2;

/** What is compared for each repository. */
export interface Comparison {
  readonly primary: ArchivingPrimary;
  readonly facts: ArchiveFacts;
  readonly acknowledged: AcknowledgedWal;
}

/** The state of every repository, those that cannot be read included. */
export function archiveStates(facts: ArchiveFacts): readonly RepositoryArchive[] {
  const { primary } = facts;
  const names = [...facts.snapshots, ...facts.unreadable].map(({ repository }) => repository);
  if (primary === undefined) {
    const reason = facts.noPrimary ?? 'no primary answers';
    return names.map((repository) => ({ repository, archive: { state: 'unknown', reason } }));
  }
  const comparison = { primary, facts, acknowledged: acknowledgedWal(primary, facts) };
  return [
    ...facts.snapshots.map((snapshot) => ({
      repository: snapshot.repository,
      archive: stateOfRead(snapshot, comparisonOf(snapshot.repository, comparison)),
    })),
    ...facts.unreadable.map((one) => ({
      repository: one.repository,
      archive: stateOfUnreadable(one, comparisonOf(one.repository, comparison)),
    })),
  ];
}

function comparisonOf(repository: RepositoryName, comparison: Comparison): Comparison {
  return { ...comparison, primary: primaryFor(repository, comparison.primary, comparison.facts) };
}

function stateOfRead(snapshot: RepositorySnapshot, comparison: Comparison): ArchiveState {
  const { primary, facts, acknowledged } = comparison;
  const { walArchive } = snapshot;
  if (!snapshot.initialised || walArchive === undefined)
    return { state: 'failing', lastError: 'the repository has not been set up for this cluster' };
  if (snapshot.systemIdentifier !== undefined && snapshot.systemIdentifier !== primary.systemIdentifier)
    return {
      state: 'failing',
      lastError: `the repository holds the WAL of another cluster (system identifier ${snapshot.systemIdentifier})`,
    };
  const reach = archiveReach(snapshot, walArchive, primary, primaryHistory(primary, facts), acknowledged);
  const { lost, pending } = partByReason(snapshot.repository, reach.missing, comparison);
  const trouble = troubleOf(snapshot, pending, comparison);
  return (
    gapOf(reach, lost, trouble, comparison) ??
    (trouble === undefined
      ? lagOf(pending, comparison)
      : { ...trouble, ...(pending.length === 0 ? {} : { bytes: bytesFrom(pending, primary) }) })
  );
}

/** What is missing for good, and what may yet come: from pg_wal, or from where the engine holds it. */
function partByReason(repository: RepositoryName, missing: readonly WalPathPiece[], { primary, facts, acknowledged }: Comparison) {
  const { lost, pending } = partMissing(missing, primary, acknowledged);
  const parts = partHeld(lost, repository, facts);
  return { lost: parts.lost, pending: inOrder([...parts.held, ...pending]) };
}

function gapOf(
  reach: ArchiveReach,
  lost: readonly WalPathPiece[],
  trouble: ReturnType<typeof troubleOf>,
  { primary, acknowledged }: Comparison,
): ArchiveState | undefined {
  const [first, last] = [lost[0], lost.at(-1)];
  const history = isHistoryLost(reach, primary, acknowledged) ? timelineHistoryFileName(primary.timeline) : undefined;
  const size = primary.segmentSizeBytes;
  const names = first === undefined || last === undefined ? undefined : { from: firstNameOf(first, size), to: lastNameOf(last, size) };
  const firstMissing = names?.from ?? history;
  if (firstMissing === undefined) return undefined;
  return {
    state: 'gap',
    firstMissing,
    lastMissing: names?.to ?? firstMissing,
    segments: segmentCountOf(lost),
    ...(reach.archivedUntil === undefined ? {} : { recoverableUntil: reach.archivedUntil }),
    ...(trouble === undefined ? {} : { blockedBy: trouble.lastError }),
  };
}

/** Without its history file a timeline cannot be followed out of an older one. The archiver takes it first of all. */
function isHistoryLost({ lacksHistory }: ArchiveReach, primary: ArchivingPrimary, { last }: AcknowledgedWal): boolean {
  if (!lacksHistory || last?.timeline !== primary.timeline) return false;
  const name = timelineHistoryFileName(primary.timeline);
  return primary.queue?.waiting.every(({ file }) => file !== name) ?? true;
}

/** Why this repository does not get its WAL; undefined where nothing says that it does not. */
function troubleOf(
  snapshot: RepositorySnapshot,
  pending: readonly WalPathPiece[],
  comparison: Comparison,
): { readonly state: 'failing'; readonly since?: Instant; readonly lastError: string } | undefined {
  const { primary, facts } = comparison;
  if (!archives(primary)) {
    const off = primary.settings.archiveMode === 'off' ? 'archive_mode is off' : 'archive_command is empty';
    return { state: 'failing', lastError: `${off} on ${primary.node}` };
  }
  const pushError = facts.pushErrors.find((error) => concerns(error, snapshot, pending, primary));
  if (pushError !== undefined) return { state: 'failing', ...failingSince(comparison), lastError: pushError.message };
  if (!isArchiverFailing(primary) || !isCulprit(snapshot, comparison)) return undefined;
  const file = primary.archiver.lastFailedWal ?? 'a file';
  return { state: 'failing', ...failingSince(comparison), lastError: `archive_command fails for ${file} on ${primary.node}` };
}

/** An error of a segment that has come meanwhile is over. */
function concerns(
  error: PushError,
  { repository }: RepositorySnapshot,
  pending: readonly WalPathPiece[],
  primary: ArchivingPrimary,
): boolean {
  if (error.repository !== undefined && error.repository !== repository) return false;
  if (error.segment === undefined) return pending.length > 0;
  if (classifyWalFile(error.segment) !== 'segment') return error.repository === repository && isWaiting(error.segment, primary);
  const { timeline, segmentNumber } = parseWalSegmentName(error.segment, primary.segmentSizeBytes);
  return pending.some((piece) => piece.timeline === timeline && piece.firstSegment <= segmentNumber && segmentNumber <= piece.lastSegment);
}

function isWaiting(name: string | undefined, { queue }: ArchivingPrimary): boolean {
  return name === undefined || queue === undefined || queue.waiting.some(({ file }) => file === name);
}

/** Whether the archiver's last word was a failure. */
export function isArchiverFailing({ archiver }: { readonly archiver: ArchivingPrimary['archiver'] }): boolean {
  const { lastFailedTime, lastArchivedTime } = archiver;
  return lastFailedTime !== undefined && (lastArchivedTime === undefined || lastFailedTime > lastArchivedTime);
}

/**
 * The archiver fails where one repository of several does not take a file, and does not tell which one: it is whichever lacks it.
 * Where all have it, or none can be asked, it is each of them.
 */
function isCulprit(snapshot: RepositorySnapshot, { primary, facts }: Comparison): boolean {
  const { lastFailedWal } = primary.archiver;
  const holds = ({ walArchive }: RepositorySnapshot) => walArchive !== undefined && holdsSegment(walArchive, lastFailedWal);
  if (!holds(snapshot)) return true;
  return facts.unreadable.length === 0 && facts.snapshots.every(holds);
}

function holdsSegment(archive: WalArchive, name: string | undefined): boolean {
  if (name === undefined || classifyWalFile(name) !== 'segment') return false;
  const { timeline, segmentNumber } = parseWalSegmentName(name, archive.segmentSizeBytes);
  return rangeContaining(archive, timeline, segmentNumber) !== undefined;
}

function failingSince({ primary, facts }: Comparison): { readonly since?: Instant } {
  const looks = [...facts.samples.map(({ archiver }) => archiver), primary.archiver];
  const lastGood = looks.findLastIndex((archiver) => !isArchiverFailing({ archiver }));
  const since = primary.queue?.waiting[0]?.since ?? looks[lastGood + 1]?.lastFailedTime;
  return since === undefined ? {} : { since };
}

function lagOf(pending: readonly WalPathPiece[], comparison: Comparison): ArchiveState {
  if (pending.length === 0) return { state: 'healthy' };
  const { primary, facts } = comparison;
  const { seconds, undated } = waitingTime(pending, primary, facts);
  const isOld = seconds !== undefined && seconds > toleratedSeconds(comparison);
  const areMany = undated > TOLERATED_SEGMENTS && !hasRecentLook(comparison);
  if (!isOld && !areMany) return { state: 'healthy' };
  return { state: 'lagging', ...(isOld ? { seconds } : {}), bytes: bytesFrom(pending, primary), segments: segmentCountOf(pending) };
}

/** What the last look did not find closed is younger than that look. */
function hasRecentLook(comparison: Comparison): boolean {
  const { now, samples } = comparison.facts;
  const last = samples.at(-1);
  return last !== undefined && secondsBetween(last.at, now) <= toleratedSeconds(comparison);
}

function toleratedSeconds({ primary, facts }: Comparison): number {
  const timeout = primary.settings.archiveTimeoutSeconds ?? 0;
  return Math.min(TOLERATED_SECONDS, facts.rpoSeconds ?? TOLERATED_SECONDS, timeout > 0 ? timeout : TOLERATED_SECONDS);
}

/** Everything that the primary has written from the first missing segment on. */
function bytesFrom([first]: readonly WalPathPiece[], { insertLsn, segmentSizeBytes }: ArchivingPrimary): bigint {
  const bytes = first === undefined ? 0n : insertLsn - segmentStartLsn(first.firstSegment, segmentSizeBytes);
  return bytes < 0n ? 0n : bytes;
}

/**
 * A repository that does not answer is unknown, unless something else tells that it gets no WAL: the engine names it, or WAL
 * waits that all others have.
 */
function stateOfUnreadable({ repository, message }: UnreadableRepository, comparison: Comparison): ArchiveState {
  const { primary, facts } = comparison;
  const waits = primary.queue?.waiting[0];
  const isNamed = facts.pushErrors.some((error) => error.repository === repository && isWaiting(error.segment, primary));
  const isStuck =
    isArchiverFailing(primary) || (waits !== undefined && secondsBetween(waits.since, primary.serverTime) > toleratedSeconds(comparison));
  const stuckAt = isArchiverFailing(primary) ? primary.archiver.lastFailedWal : waits?.file;
  const othersHaveIt = facts.snapshots.every(({ walArchive }) => walArchive !== undefined && holdsSegment(walArchive, stuckAt));
  const isOnlyCandidate = facts.unreadable.length === 1 && othersHaveIt;
  if (isNamed || (isStuck && isOnlyCandidate)) return { state: 'failing', ...failingSince(comparison), lastError: message };
  return { state: 'unknown', reason: message };
}
