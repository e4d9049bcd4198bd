import type { BackupLabel, BackupType, BaseBackup, RepositoryName } from '../../../../src/domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../../../src/domain/catalog/repository-snapshot.ts';
import { type ArchivedSegment, walRangesOf } from '../../../../src/domain/catalog/wal-archive.ts';
import { type Lsn, lsnOf } from '../../../../src/domain/postgres/lsn.ts';
import { parseSystemIdentifier } from '../../../../src/domain/postgres/system-identifier.ts';
import { type TimelineId, timelineIdOf } from '../../../../src/domain/postgres/timeline.ts';
import { parseTimelineHistory, type TimelineHistory } from '../../../../src/domain/postgres/timeline-history.ts';
import { instantOfSeconds, type Instant } from '../../../../src/domain/time/instant.ts';

/** A small world: segments of 1 MiB, second 0 at 2026-11-22 12:00:00 UTC, segment n archived at second 10 n + 10. */
export const SEGMENT_SIZE_BYTES = 1024 * 1024;
export const SYSTEM = parseSystemIdentifier('7300000000000000001');
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
