import { formatBytes } from '../bytes.ts';
import type { BaseBackup } from '../catalog/base-backup.ts';
import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import { rangeContaining, type WalArchive } from '../catalog/wal-archive.ts';
import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import { isAncestorAt, timelineSpans } from '../postgres/timeline-history.ts';
import { segmentNumberBefore, segmentNumberOf, segmentStartLsn } from '../postgres/wal-segment.ts';
import { distance } from './lag.ts';
import type { ReseedFacts, SeedPrimary } from './reseed-facts.ts';
import type { ReseedOption, ReseedPrice } from './reseed-option.ts';
import { strayTimeline } from './standby-archive.ts';

/** A repository's engine fetches whole files where one page differs, and pages scatter. */
const FETCHED_PER_CHANGED_BYTE = 10n;
const SECONDS_TO_START = { local: 5, s3: 15 } as const;

/** A restore over the old data directory: what is there and the same is not fetched. */
export function priceDelta(snapshot: RepositorySnapshot, facts: ReseedFacts): ReseedOption {
  const base = { method: 'delta', source: { kind: 'repository', name: snapshot.repository } } as const;
  const refuse = (reason: string): ReseedOption => ({ ...base, kind: 'refused', reason });
  const { target, primary, rates, deltaFrom } = facts;
  if (!deltaFrom.includes(snapshot.repository)) return refuse('the engine of the repository does not compare files');
  if (target === undefined) return refuse('there is no data directory to go on from');
  if (facts.againstInPlace !== undefined) return refuse(facts.againstInPlace);
  if (target.systemIdentifier !== primary.systemIdentifier) return refuse('the data directory is of another cluster');
  if (target.isRunning) return refuse('a server runs on it and does not answer');
  const seed = usableSeed(snapshot, facts);
  if (typeof seed === 'string') return refuse(seed);
  const { backup } = seed;
  // What differs from the backup was changed before it since the target stopped, or after it until then: WAL bounds both.
  const targetLsn = facts.targetLsn ?? target.checkpointLsn;
  const changed = distance(targetLsn, backup.stopLsn) + distance(backup.startLsn, targetLsn);
  const fetched = least(changed * FETCHED_PER_CHANGED_BYTE, backup.databaseBytes);
  const price = priceOf({ kind: snapshot.kind, fetched, ...seed }, facts);
  const seconds = price.seconds + Number(backup.databaseBytes) / rates.checksumBytesPerSecond;
  return {
    ...base,
    kind: 'possible',
    price: { ...price, seconds },
    reason: `over the old data directory, backup ${backup.label}`,
    backup: backup.label,
  };
}

/** A restore into an empty directory; the old data is kept beside. */
export function priceBackup(snapshot: RepositorySnapshot, facts: ReseedFacts): ReseedOption {
  const base = { method: 'backup', source: { kind: 'repository', name: snapshot.repository } } as const;
  if (facts.againstBeside !== undefined) return { ...base, kind: 'refused', reason: facts.againstBeside };
  const seed = usableSeed(snapshot, facts);
  if (typeof seed === 'string') return { ...base, kind: 'refused', reason: seed };
  const { backup } = seed;
  const { freeBytes } = facts;
  if (freeBytes !== undefined && freeBytes < backup.databaseBytes)
    return { ...base, kind: 'refused', reason: `it needs ${formatBytes(backup.databaseBytes)}, ${formatBytes(freeBytes)} are free` };
  const price = priceOf({ kind: snapshot.kind, fetched: backup.databaseBytes, ...seed }, facts);
  return { ...base, kind: 'possible', price, reason: `backup ${backup.label}`, backup: backup.label };
}

interface Seed {
  readonly backup: BaseBackup;
  /** The archive has WAL from the backup up to here without a hole; the primary streams from there. */
  readonly archivedUntil: Lsn;
}

/** The newest backup from which the standby gets to the primary, or why there is none. */
function usableSeed(snapshot: RepositorySnapshot, facts: ReseedFacts): Seed | string {
  const { primary } = facts;
  if (snapshot.systemIdentifier !== primary.systemIdentifier) return 'the repository is of another cluster, or not set up';
  const stray = strayTimeline(snapshot, primary.history.timeline);
  if (stray !== undefined) return `its archive has timeline ${stray}, which ${primary.node} is not on: a standby would follow it`;
  const usable = snapshot.backups.filter(
    (backup) =>
      backup.systemIdentifier === primary.systemIdentifier &&
      backup.postgresMajor === primary.postgresMajor &&
      !backup.hasPageErrors &&
      isAncestorAt(primary.history, backup.timeline, backup.stopLsn),
  );
  const newest = usable.toSorted((left, right) => (left.stopLsn > right.stopLsn ? -1 : 1))[0];
  if (newest === undefined) return `no backup lies on the way to timeline ${primary.history.timeline}`;
  const archivedUntil = reachOf(newest, snapshot.walArchive, primary);
  const oldest = primary.oldestWalLsn;
  const isGap = oldest === undefined ? archivedUntil <= newest.stopLsn : archivedUntil < oldest;
  if (isGap)
    return `WAL between the archive's end (${formatLsn(archivedUntil)}) and the oldest on ${primary.node}${oldest === undefined ? '' : ` (${formatLsn(oldest)})`} is missing`;
  return { backup: newest, archivedUntil };
}

/** How far the archive goes from a backup on along the primary's history. */
function reachOf(backup: BaseBackup, archive: WalArchive | undefined, { history, walSegmentSizeBytes: size }: SeedPrimary): Lsn {
  let reached = backup.startLsn;
  if (archive === undefined) return reached;
  for (const span of timelineSpans(history)) {
    if (span.endLsn !== undefined && span.endLsn <= reached) continue;
    const range = rangeContaining(archive, span.timeline, segmentNumberOf(reached, size));
    if (range === undefined) return reached;
    const end = segmentStartLsn(range.lastSegment + 1n, size);
    const isWhole = span.endLsn !== undefined && segmentNumberBefore(span.endLsn, size) <= range.lastSegment;
    if (!isWhole) return end;
    reached = span.endLsn;
  }
  return reached;
}

function priceOf(seed: Seed & { readonly kind: 'local' | 's3'; readonly fetched: bigint }, { primary, rates }: ReseedFacts): ReseedPrice {
  const { backup, archivedUntil, fetched, kind } = seed;
  const rate = kind === 'local' ? rates.localRepositoryBytesPerSecond : rates.s3BytesPerSecond;
  const until = archivedUntil < primary.flushLsn ? archivedUntil : primary.flushLsn;
  const wal = distance(backup.startLsn, until);
  const streamed = distance(until, primary.flushLsn);
  const copying = Number(fetched + wal) / rate + Number(streamed) / rates.networkBytesPerSecond;
  const replaying = Number(wal + streamed) / rates.replayBytesPerSecond;
  return { bytesMoved: fetched + wal + streamed, primaryBytes: streamed, seconds: copying + replaying + SECONDS_TO_START[kind] };
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}
