import { formatBytes } from '../bytes.ts';
import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import { rootHistory, type TimelineHistory, historyOf, timelineSpans, isAncestorAt } from '../postgres/timeline-history.ts';
import { segmentNumberOf } from '../postgres/wal-segment.ts';
import { rangeContaining } from '../catalog/wal-archive.ts';
import { partingLsn } from '../recovery/divergence.ts';
import { distance } from './lag.ts';
import type { ReseedFacts } from './reseed-facts.ts';
import type { ReseedOption } from './reseed-option.ts';
import type { FileFacts } from './topology.ts';

const SECONDS_TO_START = 5;

/**
 * pg_rewind fetches from the primary the pages that the target changed since the histories parted, all that is no table or index, and
 * the WAL since; then the target replays. Sources: pg_rewind's manual, "How It Works" and "Description".
 */
export function priceRewind(facts: ReseedFacts): ReseedOption {
  const { primary, target } = facts;
  const base = { method: 'rewind', source: { kind: 'primary', name: primary.node } } as const;
  const refuse = (reason: string): ReseedOption => ({ ...base, kind: 'refused', reason });
  if (target === undefined) return refuse('there is no data directory to go on from');
  const against = facts.againstInPlace ?? facts.againstRewind;
  if (against !== undefined) return refuse(against);
  if (target.systemIdentifier !== primary.systemIdentifier) return refuse('the data directory is of another cluster');
  if (target.isRunning) return refuse('a server runs on it and does not answer');
  if (!target.dataChecksums && target.walLogHints !== true) return refuse('the target has neither data checksums nor wal_log_hints');
  if (!primary.fullPageWrites) return refuse(`full_page_writes is off on ${primary.node}`);
  if (target.state === 'in backup recovery' || target.hasRecoverySignal) return refuse('a restore was not finished there');
  const forked = divergenceOf(target, facts);
  if (forked === undefined) return refuse(`the history of timeline ${target.timeline} is not known`);
  if (forked.kind === 'ahead')
    return refuse(`its WAL goes further than the primary's on the same timeline: pg_rewind would find nothing to rewind`);
  const missing = missingWal(forked.atLsn, target, facts);
  if (missing !== undefined) return refuse(missing);
  return { ...base, kind: 'possible', ...priceOf(forked, facts) };
}

type Divergence =
  /** The target is on the way of the primary: only WAL is missing. */
  | { readonly kind: 'behind'; readonly atLsn: Lsn }
  | { readonly kind: 'diverged'; readonly atLsn: Lsn; readonly targetLsn: Lsn }
  /** It went on after its last checkpoint, nobody knows how far. */
  | { readonly kind: 'crashed'; readonly atLsn: Lsn }
  | { readonly kind: 'ahead' };

/** Undefined where the history of the target's timeline is not known. */
function divergenceOf(target: FileFacts, { primary, targetLsn: found, snapshots }: ReseedFacts): Divergence | undefined {
  const targetLsn = found ?? target.checkpointLsn;
  if (target.timeline === primary.history.timeline)
    return targetLsn > primary.flushLsn ? { kind: 'ahead' } : { kind: 'behind', atLsn: targetLsn };
  const history = historyOfTarget(target, primary.history, snapshots);
  if (history === undefined) return undefined;
  const hasCrashed = target.state === 'in production';
  if (!hasCrashed && isAncestorAt(primary.history, target.timeline, targetLsn)) return { kind: 'behind', atLsn: targetLsn };
  const atLsn = partingLsn(history, primary.history);
  if (atLsn === undefined) return undefined;
  // Of one that crashed, only its own recovery tells how far its WAL goes; its last checkpoint may be before the fork.
  return hasCrashed && targetLsn < atLsn ? { kind: 'crashed', atLsn } : { kind: 'diverged', atLsn, targetLsn };
}

function historyOfTarget(
  { timeline }: FileFacts,
  ofPrimary: TimelineHistory,
  snapshots: ReseedFacts['snapshots'],
): TimelineHistory | undefined {
  const index = ofPrimary.ancestors.findIndex((fork) => fork.timeline === timeline);
  if (index >= 0) return { timeline, ancestors: ofPrimary.ancestors.slice(0, index) };
  if (timeline === 1) return rootHistory(timeline);
  return historyOf(
    timeline,
    snapshots.flatMap(({ walArchive }) => walArchive?.histories ?? []),
  );
}

/** pg_rewind reads the target's WAL from the last common checkpoint on; from the archive too, with --restore-target-wal. */
function missingWal(atLsn: Lsn, { timeline }: FileFacts, facts: ReseedFacts): string | undefined {
  const { targetOldestWalLsn: oldest, primary, snapshots } = facts;
  const size = primary.walSegmentSizeBytes;
  if (oldest === undefined || oldest <= atLsn) return undefined;
  const at = timelineSpans(primary.history).findLast(({ beginLsn }) => beginLsn <= atLsn)?.timeline ?? timeline;
  const isArchived = snapshots.some(
    ({ walArchive }) => walArchive !== undefined && rangeContaining(walArchive, at, segmentNumberOf(atLsn, size)) !== undefined,
  );
  return isArchived ? undefined : `the target's WAL of ${formatLsn(atLsn)} is neither in its pg_wal nor in a repository`;
}

function priceOf(forked: Exclude<Divergence, { kind: 'ahead' }>, { primary, rates }: ReseedFacts) {
  const since = distance(forked.atLsn, primary.flushLsn);
  const written = forked.kind === 'diverged' ? distance(forked.atLsn, forked.targetLsn) : 0n;
  // Each page that was changed has left at least as much WAL as a record takes; with full-page images it is about a page.
  const pages = written < primary.databaseBytes ? written : primary.databaseBytes;
  // Where it is not on the way of the primary pg_rewind copies all of pg_wal, recycled segments as well.
  const copied = forked.kind === 'diverged' ? (primary.walBytes ?? 0n) : 0n;
  const bytesMoved = pages + (copied > since ? copied : since);
  const seconds = Number(bytesMoved) / rates.networkBytesPerSecond + Number(since) / rates.replayBytesPerSecond + SECONDS_TO_START;
  return { price: { bytesMoved, primaryBytes: bytesMoved, seconds }, reason: reasonOf(forked, written) };
}

function reasonOf({ kind, atLsn }: Exclude<Divergence, { kind: 'ahead' }>, written: bigint): string {
  switch (kind) {
    case 'behind':
      return 'it has not diverged: only WAL is missing';
    case 'crashed':
      return `it crashed: what it has from ${formatLsn(atLsn)} on shows once it has recovered, and goes`;
    case 'diverged':
      return `it has ${formatBytes(written)} of WAL that the primary has not, from ${formatLsn(atLsn)} on`;
  }
}
