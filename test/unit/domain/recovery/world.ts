import type { BackupLabel, BackupType, BaseBackup, RepositoryName } from '../../../../src/domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../../../src/domain/catalog/repository-snapshot.ts';
import { type ArchivedSegment, walRangesOf } from '../../../../src/domain/catalog/wal-archive.ts';
import { type Lsn, lsnOf } from '../../../../src/domain/postgres/lsn.ts';
import { parseSystemIdentifier } from '../../../../src/domain/postgres/system-identifier.ts';
import { type TimelineId, timelineIdOf } from '../../../../src/domain/postgres/timeline.ts';
import { parseTimelineHistory, type TimelineHistory, timelineSpans } from '../../../../src/domain/postgres/timeline-history.ts';
import { instantOfSeconds, type Instant } from '../../../../src/domain/time/instant.ts';

/** A small world: segments of 1 MiB, second 0 at 2026-11-22 12:00:00 UTC, segment n archived at second 10 n + 10. */
export const SEGMENT_SIZE_BYTES = 1024 * 1024;
const SYSTEM = parseSystemIdentifier('7300000000000000001');
const NOON_SECONDS = 1_795_348_800;

export function at(second: number): Instant {
  return instantOfSeconds(NOON_SECONDS + second);
}

/** The position `bytes` into segment `segment`. */
export function lsnIn(segment: number, bytes = 0): Lsn {
  return lsnOf(BigInt(segment) * BigInt(SEGMENT_SIZE_BYTES) + BigInt(bytes));
}

export function tli(id: number): TimelineId {
  return timelineIdOf(id);
}

export function label(name: string): BackupLabel {
  return name as BackupLabel;
}

export const LOCAL = 'local' as RepositoryName;
export const S3 = 's3' as RepositoryName;

export interface BackupOptions {
  readonly timeline?: number;
  readonly type?: BackupType;
  readonly references?: readonly string[];
  readonly hasPageErrors?: boolean;
  readonly systemIdentifier?: string;
  /** Segments that it lasted. */
  readonly length?: number;
}

/** A backup from the middle of `segment` to the middle of the next; WAL is written at a segment every ten seconds. */
export function backup(name: string, segment: number, options: BackupOptions = {}): BaseBackup {
  const length = options.length ?? 1;
  return {
    label: label(name),
    type: options.type ?? 'full',
    repository: LOCAL,
    references: (options.references ?? []).map(label),
    ...(options.references === undefined ? {} : { prior: label(options.references.at(-1) ?? '') }),
    systemIdentifier: options.systemIdentifier === undefined ? SYSTEM : parseSystemIdentifier(options.systemIdentifier),
    postgresMajor: 15,
    timeline: tli(options.timeline ?? 1),
    startLsn: lsnIn(segment, 40),
    stopLsn: lsnIn(segment + length, 256),
    startTime: at(segment * 10),
    stopTime: at((segment + length) * 10),
    databaseBytes: 1_000_000_000n,
    repositoryBytes: 300_000_000n,
    hasPageErrors: options.hasPageErrors ?? false,
    annotations: {},
  };
}

/** Segments `first` to `last` of a timeline, each archived when it was full. */
export function segments(first: number, last: number, timeline = 1): ArchivedSegment[] {
  return Array.from({ length: last - first + 1 }, (_, index) => ({
    timeline: tli(timeline),
    segmentNumber: BigInt(first + index),
    archivedAt: at((first + index) * 10 + 10),
  }));
}

export function history(timeline: number, text: string): TimelineHistory {
  return parseTimelineHistory(text, tli(timeline));
}

export function snapshot(options: {
  readonly repository?: RepositoryName;
  readonly backups?: readonly BaseBackup[];
  readonly wal?: readonly ArchivedSegment[];
  readonly histories?: readonly TimelineHistory[];
  readonly withoutTimes?: boolean;
}): RepositorySnapshot {
  const repository = options.repository ?? LOCAL;
  const wal = options.wal ?? [];
  return {
    repository,
    kind: repository === LOCAL ? 'local' : 's3',
    readAt: at(100_000),
    initialised: true,
    systemIdentifier: SYSTEM,
    postgresMajor: 15,
    backups: (options.backups ?? []).map((one) => ({ ...one, repository })),
    walArchive: {
      segmentSizeBytes: SEGMENT_SIZE_BYTES,
      ranges: walRangesOf(options.withoutTimes === true ? wal.map(({ timeline, segmentNumber }) => ({ timeline, segmentNumber })) : wal),
      histories: options.histories ?? [],
    },
  };
}

/**
 * How far PostgreSQL would get from `start`, worked out segment by segment: it reads each from the newest timeline of the
 * history that began in it or before, and a timeline's bytes count up to where the history leaves it.
 * `present` holds `timeline/segment`; `lastHolder` is the timeline that the last segment was read from.
 */
export function replayByBruteForce(
  present: ReadonlySet<string>,
  followed: TimelineHistory,
  start: Lsn,
): { endLsn: bigint; lastHolder?: number } {
  const size = BigInt(SEGMENT_SIZE_BYTES);
  const newestFirst = timelineSpans(followed).toReversed();
  let endLsn: bigint = start;
  let lastHolder: number | undefined;
  for (let segment = start / size; segment < 60n; segment++) {
    const began = newestFirst.filter((span) => span.beginLsn / size <= segment);
    const holder = began.find((span) => present.has(`${span.timeline}/${segment}`));
    const segmentEnd = (segment + 1n) * size;
    const end = holder === undefined ? 0n : holder.endLsn === undefined || holder.endLsn > segmentEnd ? segmentEnd : holder.endLsn;
    if (holder === undefined || end <= endLsn) break;
    endLsn = end;
    lastHolder = holder.timeline;
    if (end !== segmentEnd) break;
  }
  return lastHolder === undefined ? { endLsn } : { endLsn, lastHolder };
}

/** PostgreSQL's own way to tell the timeline of a byte (tliOfPointInHistory): newest first, each from its parent's switch to its own. */
export function timelineByBruteForce(followed: TimelineHistory, lsn: bigint): number {
  const entries = [
    ...followed.ancestors.map((fork) => ({ timeline: fork.timeline, end: fork.switchLsn })),
    { timeline: followed.timeline as number, end: undefined },
  ];
  const found = entries
    .map((entry, index) => ({ ...entry, begin: entries[index - 1]?.end }))
    .toReversed()
    .find(({ begin, end }) => (begin === undefined || begin <= lsn) && (end === undefined || lsn < end));
  if (found === undefined) throw new Error('timeline history was not contiguous');
  return found.timeline;
}
