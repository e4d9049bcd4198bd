import type { RepositoryName } from '../../../../src/domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../../../src/domain/catalog/repository-snapshot.ts';
import { type ArchivedSegment, walRangesOf } from '../../../../src/domain/catalog/wal-archive.ts';
import type { ArchiveFacts, ArchivingPrimary } from '../../../../src/domain/health/archive-facts.ts';
import { assessArchive } from '../../../../src/domain/health/assess-archive.ts';
import { parseSystemIdentifier } from '../../../../src/domain/postgres/system-identifier.ts';
import { walSegmentName } from '../../../../src/domain/postgres/wal-segment.ts';
import { at, backup, LOCAL, lsnIn, SEGMENT_SIZE_BYTES, segments, tli } from '../recovery/world.ts';

export const SYSTEM = parseSystemIdentifier('7300000000000000001');

/** The name of a segment. */
export function wal(segment: number | bigint, timeline = 1): string {
  return walSegmentName(tli(timeline), BigInt(segment), SEGMENT_SIZE_BYTES);
}

export interface PrimaryOptions extends Partial<ArchivingPrimary> {
  /** The segment that is being written. */
  readonly writing?: number;
  /** Segments that wait for the archiver, by number; each has waited since it was full. */
  readonly waits?: readonly number[];
  /** The last segment that pg_stat_archiver calls archived. */
  readonly archived?: number;
}

/** A primary on timeline 1 that writes segment 20; second 0 is the world's noon, and now is second 200. */
export function primary({ writing = 20, waits, archived, ...more }: PrimaryOptions = {}): ArchivingPrimary {
  const waiting = waits?.map((segment) => ({ file: wal(segment), since: at(segment * 10 + 10) }));
  return {
    node: 'primary-1',
    systemIdentifier: SYSTEM,
    timeline: tli(1),
    insertLsn: lsnIn(writing, 40),
    segmentSizeBytes: SEGMENT_SIZE_BYTES,
    serverTime: at(200),
    archiver: { archivedCount: 1n, failedCount: 0n, ...(archived === undefined ? {} : { lastArchivedWal: wal(archived) }) },
    settings: { archiveMode: 'on', archiveCommand: 'push', archiveLibrary: '', archiveTimeoutSeconds: 60 },
    ...(waiting === undefined ? {} : { queue: { count: waiting.length, waiting } }),
    slots: [],
    ...more,
  };
}

/** A repository with a backup that began in segment 2, and these segments. */
export function repository(
  name: RepositoryName,
  held: readonly ArchivedSegment[],
  more: Partial<RepositorySnapshot> = {},
): RepositorySnapshot {
  return {
    repository: name,
    kind: name === LOCAL ? 'local' : 's3',
    readAt: at(200),
    initialised: true,
    systemIdentifier: SYSTEM,
    postgresMajor: 15,
    backups: [{ ...backup('full', 2), repository: name }],
    walArchive: { segmentSizeBytes: SEGMENT_SIZE_BYTES, ranges: walRangesOf(held), histories: [] },
    ...more,
  };
}

/** Every segment that the primary of `primary()` has closed, but for those named. */
export function closedBut(...missing: readonly number[]): readonly ArchivedSegment[] {
  return segments(1, 19).filter(({ segmentNumber }) => !missing.includes(Number(segmentNumber)));
}

export function unreadable(name: RepositoryName, message = 'unable to connect') {
  return { repository: name, kind: 's3', errorCode: 'REPOSITORY_UNAVAILABLE', message } as const;
}

export function facts(more: Partial<ArchiveFacts> = {}): ArchiveFacts {
  return { now: at(200), primary: primary(), snapshots: [], unreadable: [], histories: [], pushErrors: [], samples: [], ...more };
}

/** The states by repository. */
export function states(given: ArchiveFacts) {
  return Object.fromEntries(assessArchive(given).repositories.map(({ repository: name, archive }) => [name, archive]));
}

/** The codes of what is found, sorted. */
export function codes(given: ArchiveFacts): readonly string[] {
  return assessArchive(given)
    .findings.map(({ code }) => code)
    .sort();
}
