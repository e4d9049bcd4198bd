import type { BaseBackup } from '../../src/domain/catalog/base-backup.ts';
import { type TimelineHistory, timelineAt } from '../../src/domain/postgres/timeline-history.ts';
import { segmentNumberOf, segmentStartLsn, walSegmentName } from '../../src/domain/postgres/wal-segment.ts';
import { type Lsn, parseLsn } from '../../src/domain/postgres/lsn.ts';
import type { PinnedCandidate } from '../../src/workflows/restore/intent.ts';
import { SEGMENT_SIZE_BYTES } from '../fakes/data-directory.ts';
import type { WalRecord } from '../fakes/history.ts';
import type { FakeRepository } from '../fakes/repository.ts';
import type { RestoreStory } from './restore-scenario.ts';

/** A backup that is as good as it looked, in a repository that answers. */
interface SoundBackup {
  readonly candidate: PinnedCandidate;
  readonly backup: BaseBackup;
  readonly repository: FakeRepository;
  /** Every record from its start on that its timeline leads to, in order. */
  readonly records: readonly WalRecord[];
  readonly path: TimelineHistory;
}

/**
 * Whether some backup leads to the target for certain: it and all the WAL up to there can be had, and the target lies behind the
 * end of the backup. Worked out from what happened, and not from what the repositories tell of it.
 */
export function canBeReached(story: RestoreStory): boolean {
  if (story.intent.closeWalOn !== null && !closesWal(story) && !story.intent.closeWalMayFail) return false;
  return soundBackups(story).some((one) => {
    if (story.target.kind === 'latest' && !endsWhereTheFirstEnds(story, one)) return false;
    const end = endOfReplay(story, one);
    if (end === undefined) return false;
    return one.records.filter((record) => record.lsn <= end).every((record) => isReadable(story, one, record));
  });
}

/**
 * Where the WAL that a correct restore from one backup has replayed ends: after every commit up to the target, before the next one.
 * Of restore points with the same name it is the first that replay meets ("Recovery Target" in PostgreSQL's manual).
 */
export function expectedRange(story: RestoreStory, used: { readonly label: string; readonly repository: string }): Range {
  const one = soundBackups(story).find(({ backup }) => backup.label === used.label && backup.repository === used.repository);
  if (one === undefined) throw new Error(`restored from ${used.label}, of which nothing could be restored`);
  const commits = one.records.filter((record) => record.kind === 'commit');
  const last = commits.findLast((record) => isWanted(story, one, record));
  const next = commits.find((record) => !isWanted(story, one, record) && record.lsn >= (last?.lsn ?? 0n));
  const { insertLsn } = story.world.history;
  return { from: last?.endLsn ?? 0n, before: story.target.kind === 'latest' ? insertLsn + 1n : (next?.endLsn ?? insertLsn + 1n) };
}

export interface Range {
  readonly from: bigint;
  readonly before: bigint;
}

function soundBackups({ intent, world }: RestoreStory): readonly SoundBackup[] {
  return intent.candidates.flatMap((candidate) => {
    const repository = world.repositories.find((one) => one.name === candidate.repository);
    const backup = repository?.backupLabelled(candidate.label)?.backup;
    if (repository?.state !== 'up' || backup === undefined || repository.damagedBackups.has(candidate.label)) return [];
    const path = world.history.historyOf(candidate.timeline === 'current' ? backup.timeline : candidate.timeline);
    const records = world.history.records.filter(({ lsn, timeline }) => lsn >= backup.startLsn && timelineAt(path, lsn) === timeline);
    return [{ candidate, backup, repository, records, path }];
  });
}

/** The end of another timeline is another end: what `latest` means along `current` the first backup says. */
function endsWhereTheFirstEnds({ intent }: RestoreStory, { candidate }: SoundBackup): boolean {
  const timelineOf = (one: PinnedCandidate | undefined) => one?.lastArchivedSegment?.slice(0, 8);
  return timelineOf(candidate) === timelineOf(intent.candidates[0]);
}

/** The last record that has to be read; undefined where PostgreSQL would not stop at the target, or not be consistent there. */
function endOfReplay(story: RestoreStory, { backup, candidate, records, path }: SoundBackup): bigint | undefined {
  const { target } = story;
  const after = (record: WalRecord | undefined) => (record !== undefined && record.endLsn >= backup.stopLsn ? record.lsn : undefined);
  const before = (record: WalRecord | undefined) => (record !== undefined && record.lsn >= backup.stopLsn ? record.lsn : undefined);
  const side = 'inclusive' in target && target.inclusive ? after : before;
  switch (target.kind) {
    case 'latest':
      return candidate.leastLsn === null
        ? undefined
        : records.findLast((record) => record.lsn < endOfSegment(parseLsn(candidate.leastLsn ?? '')))?.lsn;
    case 'immediate':
      return records.find((record) => record.endLsn >= backup.stopLsn)?.lsn;
    case 'lsn':
      return side(records.find((record) => record.lsn >= target.lsn));
    case 'xid':
      return side(records.find((record) => record.xid === target.xid));
    case 'name':
      return after(records.find((record) => record.name === target.name));
    case 'time': {
      const commits = records.filter((record) => record.kind === 'commit');
      const past = commits.find((record) => (target.inclusive ? record.time > target.time : record.time >= target.time));
      // The marker that the primary commits lies behind everything on its timeline, which the archive may not know of yet.
      const hasMarker = closesWal(story) && path.timeline === story.world.history.timeline;
      return past === undefined && hasMarker ? records.at(-1)?.lsn : before(past);
    }
  }
}

function endOfSegment(lsn: Lsn): bigint {
  return segmentStartLsn(segmentNumberOf(lsn, SEGMENT_SIZE_BYTES) + 1n, SEGMENT_SIZE_BYTES);
}

/** Whether the primary gets its segment archived: it archives nothing more while one repository is down. */
function closesWal({ intent, world }: RestoreStory): boolean {
  return intent.closeWalOn !== null && world.repositories.every((one) => one.state === 'up');
}

/** In the archive by then and sound, or never archived and in the pg_wal of a server that is down. */
function isReadable(story: RestoreStory, { repository, path }: SoundBackup, { lsn }: WalRecord): boolean {
  const { intent, world } = story;
  const waiting = intent.salvageFrom === null ? [] : world.fs.list(`${intent.salvageFrom}/pg_wal`);
  const closed = closesWal(story) ? [...world.history.closedSegments().map(({ name }) => name), world.history.openSegment()] : [];
  const isThere = (name: string) => repository.segments.has(name) || closed.includes(name) || waiting.includes(name);
  const number = segmentNumberOf(lsn, SEGMENT_SIZE_BYTES);
  const timelines = [...path.ancestors.map((fork) => fork.timeline), path.timeline];
  const names = timelines
    .filter((_timeline, index) => (path.ancestors[index - 1]?.switchLsn ?? 0n) < endOfSegment(lsn))
    .map((timeline) => walSegmentName(timeline, number, SEGMENT_SIZE_BYTES));
  const name = names.findLast(isThere);
  return name !== undefined && !repository.damagedSegments.has(name);
}

function isWanted(story: RestoreStory, one: SoundBackup, record: WalRecord): boolean {
  const { target } = story;
  switch (target.kind) {
    case 'latest':
      return one.records.filter(({ lsn }) => lsn <= record.lsn).every((earlier) => isReadable(story, one, earlier));
    case 'immediate':
      return record.lsn < one.backup.stopLsn;
    case 'time':
      return target.inclusive ? record.time <= target.time : record.time < target.time;
    case 'lsn':
      return target.inclusive ? record.lsn <= target.lsn : record.lsn < target.lsn;
    case 'xid': {
      const at = one.records.find(({ xid }) => xid === target.xid)?.lsn ?? 0n;
      return target.inclusive ? record.lsn <= at : record.lsn < at;
    }
    case 'name':
      return record.lsn <= (one.records.find(({ name }) => name === target.name)?.lsn ?? 0n);
  }
}
