import type { BackupDetail, BackupLabel, BackupType, BaseBackup, RepositoryName } from '../../src/domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../src/domain/catalog/repository-snapshot.ts';
import { walRangesOf } from '../../src/domain/catalog/wal-archive.ts';
import type { TimelineHistory } from '../../src/domain/postgres/timeline-history.ts';
import { parseWalSegmentName } from '../../src/domain/postgres/wal-segment.ts';
import type { Instant } from '../../src/domain/time/instant.ts';
import { SpokeError } from '../../src/errors.ts';
import { POSTGRES_MAJOR, SEGMENT_SIZE_BYTES } from './data-directory.ts';
import type { FakeHistory } from './history.ts';

type BackupTablespace = BackupDetail['tablespaces'][number];

/** A backup with what is in it. */
export interface FakeBackup {
  readonly backup: BaseBackup;
  readonly tablespaces: readonly BackupTablespace[];
  /** Of the files that come with the backup; undefined as on Debian, where they lie in /etc. */
  readonly postgresqlConf: string | undefined;
  readonly autoConf: string;
}

/** Where backups and WAL are. */
export class FakeRepository {
  readonly name: RepositoryName;
  readonly kind: 'local' | 's3';
  initialised = true;
  state: 'up' | 'down' | 'denied' = 'up';
  readonly backups: FakeBackup[] = [];
  /** Name → when it came in. */
  readonly segments = new Map<string, Instant>();
  readonly histories: TimelineHistory[] = [];
  /** Listed, and found damaged when they are read. */
  readonly damagedBackups = new Set<string>();
  readonly damagedSegments = new Set<string>();
  /** What the next backups end with: before anything is there, or although all of it is. */
  readonly backupFaults: { readonly error: SpokeError; readonly isComplete: boolean }[] = [];
  readonly #history: FakeHistory;

  constructor(name: string, kind: 'local' | 's3', history: FakeHistory) {
    this.name = name as RepositoryName;
    this.kind = kind;
    this.#history = history;
  }

  /** What PostgreSQL's archiver would have brought by now. */
  archiveEverything(): void {
    for (const { name, closedAt } of this.#history.closedSegments()) if (!this.segments.has(name)) this.segments.set(name, closedAt);
    this.histories.splice(0, this.histories.length, ...this.#history.histories);
  }

  /** Throws as the engine does where the repository does not answer. */
  requireUp(): void {
    if (this.state === 'down') throw new SpokeError('REPOSITORY_UNAVAILABLE', `repository ${this.name} does not answer`);
    if (this.state === 'denied') throw new SpokeError('REPOSITORY_DENIED', `repository ${this.name} refuses the access key`);
  }

  snapshot(readAt: Instant, { walArchive }: { readonly walArchive: boolean }): RepositorySnapshot {
    this.requireUp();
    const base = { repository: this.name, kind: this.kind, readAt, initialised: this.initialised };
    if (!this.initialised) return { ...base, backups: [] };
    const segments = [...this.segments].map(([name, archivedAt]) => ({ ...parseWalSegmentName(name, SEGMENT_SIZE_BYTES), archivedAt }));
    return {
      ...base,
      systemIdentifier: this.#history.systemIdentifier,
      postgresMajor: POSTGRES_MAJOR,
      backups: this.backups.map(({ backup }) => backup),
      ...(walArchive
        ? { walArchive: { segmentSizeBytes: SEGMENT_SIZE_BYTES, ranges: walRangesOf(segments), histories: [...this.histories] } }
        : {}),
    };
  }

  /** What restore_command would come back with for a segment: it, or what it complains of; undefined where there is none. */
  fetch(segment: string): 'delivered' | { readonly complaint: string } | undefined {
    if (this.state !== 'up') return { complaint: 'ERROR: [103]: unable to find a valid repository' };
    if (this.damagedSegments.has(segment)) return { complaint: `ERROR: [029]: invalid checksum of ${segment}` };
    return this.segments.has(segment) ? 'delivered' : undefined;
  }

  expire(label: string): void {
    const index = this.backups.findIndex(({ backup }) => backup.label === label);
    if (index >= 0) this.backups.splice(index, 1);
  }

  backupLabelled(label: string): FakeBackup | undefined {
    return this.backups.find(({ backup }) => backup.label === label);
  }
}

/** What a new backup of a cluster is like, apart from where in its WAL it lies. */
export interface FakeBackupOptions {
  readonly type: BackupType;
  readonly tablespaces: readonly BackupTablespace[];
  readonly postgresqlConf: string | undefined;
  readonly autoConf: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Takes a backup of the primary as it is now; one commit happens meanwhile, and the WAL of the backup is archived at its end. */
export function takeFakeBackup(repository: FakeRepository, history: FakeHistory, options: FakeBackupOptions): BaseBackup {
  const { insertLsn: startLsn, time: startTime } = history;
  const during = history.commit();
  history.switchSegment();
  repository.archiveEverything();
  const fulls = repository.backups.filter(({ backup }) => backup.type === 'full');
  const full = options.type === 'full' ? undefined : fulls.at(-1)?.backup.label;
  const stamp = labelStamp(history.time, repository.backups.length);
  const backup: BaseBackup = {
    label: (full === undefined ? `${stamp}F` : `${full}_${stamp}${options.type === 'diff' ? 'D' : 'I'}`) as BackupLabel,
    type: full === undefined ? 'full' : options.type,
    repository: repository.name,
    ...(full === undefined ? {} : { prior: full }),
    references: full === undefined ? [] : [full],
    systemIdentifier: history.systemIdentifier,
    postgresMajor: POSTGRES_MAJOR,
    timeline: history.timeline,
    startLsn,
    stopLsn: during.endLsn,
    startTime,
    stopTime: history.time,
    databaseBytes: 10_000_000n,
    repositoryBytes: 2_000_000n,
    hasPageErrors: false,
    annotations: options.annotations,
  };
  const { tablespaces, postgresqlConf, autoConf } = options;
  repository.backups.push({ backup, tablespaces, postgresqlConf, autoConf });
  return backup;
}

function labelStamp(time: Instant, count: number): string {
  const iso = new Date(Number(time / 1000n)).toISOString().replaceAll(/[-:]/g, '');
  return `${iso.slice(0, 8)}-${iso.slice(9, 13)}${String(count).padStart(2, '0')}`;
}
