import type { RepositoryName } from '../catalog/base-backup.ts';
import type { RepositorySnapshot, UnreadableRepository } from '../catalog/repository-snapshot.ts';
import type { Lsn } from '../postgres/lsn.ts';
import type { SystemIdentifier } from '../postgres/system-identifier.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { TimelineHistory } from '../postgres/timeline-history.ts';
import type { ReceiverState } from '../streaming/receiver-state.ts';
import type { Instant } from '../time/instant.ts';

/** A file that waits in pg_wal for the archiver: it has a `.ready` in archive_status. */
export interface WaitingWal {
  readonly file: string;
  /** When it became ready, by the server's clock; whole seconds. */
  readonly since: Instant;
}

/** What waits for the archiver. */
export interface ArchiveQueue {
  readonly count: number;
  /** By name, which is the archiver's order: the first of them, all where `count` says so. */
  readonly waiting: readonly WaitingWal[];
}

/** A replication slot, as far as it keeps WAL. */
export interface SlotFacts {
  readonly name: string;
  readonly active: boolean;
  /** `reserved`, `extended`, `unreserved` or `lost`; absent for a slot that reserves nothing. */
  readonly walStatus?: string;
  readonly retainedBytes?: bigint;
}

/** pg_stat_archiver. */
export interface ArchiverCounters {
  readonly archivedCount: bigint;
  readonly failedCount: bigint;
  readonly lastArchivedWal?: string;
  readonly lastArchivedTime?: Instant;
  readonly lastFailedWal?: string;
  readonly lastFailedTime?: Instant;
}

/** The primary and its WAL. Looked at before the repositories: what it calls archived must then be in them. */
export interface ArchivingPrimary {
  readonly node: string;
  readonly systemIdentifier: SystemIdentifier;
  readonly timeline: TimelineId;
  readonly insertLsn: Lsn;
  readonly segmentSizeBytes: number;
  /** By the server's clock. */
  readonly serverTime: Instant;
  readonly archiver: ArchiverCounters;
  /** As pg_settings has them; absent where the role may not read them. */
  readonly settings: {
    readonly archiveMode?: string;
    readonly archiveCommand?: string;
    readonly archiveLibrary?: string;
    readonly archiveTimeoutSeconds?: number;
  };
  /** Absent where the role may not list archive_status (pg_monitor). */
  readonly queue?: ArchiveQueue;
  /** Of all files in pg_wal; absent where the role may not list it. */
  readonly walBytes?: bigint;
  readonly slots: readonly SlotFacts[];
  /** Of the file system under pg_wal; absent where it is not on this machine. */
  readonly walFreeBytes?: bigint;
}

/** Why the engine could not bring a segment into a repository. */
export interface PushError {
  /** Absent where it concerns every segment. */
  readonly segment?: string;
  /** Absent where it concerns them all, or does not say. */
  readonly repository?: RepositoryName;
  readonly message: string;
}

/** WAL that the engine has acknowledged and brings on to a repository by itself; meanwhile it is durable elsewhere. */
export interface HeldWal {
  readonly repository: RepositoryName;
  readonly queue: ArchiveQueue;
  /** The repository that it is brought from; absent where that is a place of the engine's own. */
  readonly from?: RepositoryName;
}

/** Everything by which the archive of one cluster is judged. */
export interface ArchiveFacts {
  readonly now: Instant;
  /** Absent where no primary answers, or more than one does. */
  readonly primary?: ArchivingPrimary;
  /** Why there is no `primary`. */
  readonly noPrimary?: string;
  readonly snapshots: readonly RepositorySnapshot[];
  readonly unreadable: readonly UnreadableRepository[];
  /** Ancestries that were found elsewhere than in a repository: in pg_wal. */
  readonly histories: readonly TimelineHistory[];
  readonly pushErrors: readonly PushError[];
  /** Read after the primary and before the repositories. Absent where the engine acknowledges only what every repository has. */
  readonly held?: readonly HeldWal[];
  /** What `setup archiving` would set archive_command to. */
  readonly expectedArchiveCommand?: string;
  readonly rpoSeconds?: number;
  /** Absent where WAL is not streamed. */
  readonly streaming?: StreamingFacts;
  /** Earlier looks, oldest first. */
  readonly samples: readonly ArchiveSample[];
}

/** How WAL is streamed beside the archive. The tails are in the snapshots, the slot is the primary's. */
export interface StreamingFacts {
  readonly slot: string;
  readonly tailSeconds: number;
  /** max_slot_wal_keep_size; -1: as much as there is room for. Absent where it may not be read. */
  readonly slotKeepsMib?: number;
  /** As whoever streams it knows; absent where somebody else does. */
  readonly receiver?: ReceiverState;
}

/** What is kept of a look, to compare later ones with. */
export interface ArchiveSample {
  readonly at: Instant;
  readonly timeline: TimelineId;
  readonly insertLsn: Lsn;
  readonly archiver: ArchiverCounters;
  readonly walFreeBytes?: bigint;
  /** The last segment of each timeline in each repository that could be read. */
  readonly tips: readonly ArchiveTip[];
}

export interface ArchiveTip {
  readonly repository: RepositoryName;
  readonly timeline: TimelineId;
  readonly lastSegment: bigint;
}

/** Two hours of a look every thirty seconds. */
const MOST_SAMPLES = 240;

/** The samples with this look as the newest. Pure. Where no primary answered nothing is added. */
export function rememberLook(facts: ArchiveFacts): readonly ArchiveSample[] {
  const { primary, samples, now } = facts;
  if (primary === undefined) return samples;
  const { timeline, insertLsn, archiver, walFreeBytes } = primary;
  const sample = { at: now, timeline, insertLsn, archiver, tips: facts.snapshots.flatMap(tipsOf) };
  return [...samples, walFreeBytes === undefined ? sample : { ...sample, walFreeBytes }].slice(-MOST_SAMPLES);
}

/** The last archived segment of each timeline in a repository. */
export function tipsOf({ repository, walArchive }: RepositorySnapshot): readonly ArchiveTip[] {
  const tips = new Map<TimelineId, bigint>();
  for (const { timeline, lastSegment } of walArchive?.ranges ?? []) tips.set(timeline, lastSegment);
  return [...tips].map(([timeline, lastSegment]) => ({ repository, timeline, lastSegment }));
}
