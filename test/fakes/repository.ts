import type { BackupDetail, BackupLabel, BackupType, BaseBackup, RepositoryName } from '../../src/domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../src/domain/catalog/repository-snapshot.ts';
import { walRangesOf } from '../../src/domain/catalog/wal-archive.ts';
import type { OwnExpiry } from '../../src/domain/retention/policy.ts';
import type { AnnotateRequest, ExpireBackupRequest, ExpireWalRequest } from '../../src/ports/backup-engine.ts';
import type { TimelineHistory } from '../../src/domain/postgres/timeline-history.ts';
import type { Instant } from '../../src/domain/time/instant.ts';
import { SpokeError } from '../../src/errors.ts';
import { parseWalSegmentName, segmentNumberBefore, segmentNumberOf, walSegmentName } from '../../src/domain/postgres/wal-segment.ts';
import { POSTGRES_MAJOR, SEGMENT_SIZE_BYTES } from './data-directory.ts';
import type { FakeHistory } from './history.ts';

/** What the engine's own configuration says. */
export const FAKE_RETENTION_DAYS = 7;
const MICROS_PER_DAY = 86_400_000_000n;

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
  /** Files of backups that the catalogue no longer names. */
  readonly leftovers = new Set<string>();
  /** Object lock, or no right to delete. */
  deniesDeletion = false;
  /** Another process of the engine works on the cluster. */
  isLocked = false;
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

  /** A backup and all that is relative to it. */
  dependentsOf(label: string): readonly string[] {
    const found = [label];
    for (const { backup } of this.backups) if (backup.prior !== undefined && found.includes(backup.prior)) found.push(backup.label);
    return found.filter((one) => this.backupLabelled(one) !== undefined);
  }

  /** By days: the newest full one that is older than the window stays, with all that came after it. */
  ownExpiry(now: Instant): OwnExpiry {
    this.requireUp();
    if (this.isLocked) throw new SpokeError('LOCKED', 'unable to acquire the lock of the engine');
    const start = now - BigInt(FAKE_RETENTION_DAYS) * MICROS_PER_DAY;
    const fulls = this.backups.map(({ backup }) => backup).filter(({ type }) => type === 'full');
    const first = fulls.findLast(({ stopTime }) => stopTime < start) ?? fulls[0];
    const going = fulls.slice(0, first === undefined ? 0 : fulls.indexOf(first));
    const backups = going.flatMap(({ label }) => this.dependentsOf(label)) as BackupLabel[];
    return { backups, walFloors: backups.length === 0 || first === undefined ? [] : [first.label] };
  }

  /** From the catalogue first; `isCutOff`: its files stay. */
  expireBackup({ label, dependents }: ExpireBackupRequest, isCutOff: boolean): void {
    this.#requireDeletable();
    const going = this.dependentsOf(label);
    if (going.some((one) => one !== label && !(dependents as readonly string[]).includes(one)))
      throw new SpokeError('PLAN_STALE', `more depends on ${label}`);
    for (const one of going) this.expire(one);
    if (isCutOff) for (const one of going) this.leftovers.add(one);
  }

  expireWal({ floor }: ExpireWalRequest): void {
    this.#requireDeletable();
    const all = this.backups.map(({ backup }) => backup);
    const oldest = all.find(({ label }) => label === floor);
    if (oldest === undefined) throw new SpokeError('PLAN_STALE', `there is no ${floor}`);
    const names = ({ timeline, startLsn, stopLsn }: BaseBackup) => [
      walSegmentName(timeline, segmentNumberOf(startLsn, SEGMENT_SIZE_BYTES), SEGMENT_SIZE_BYTES),
      walSegmentName(timeline, segmentNumberBefore(stopLsn, SEGMENT_SIZE_BYTES), SEGMENT_SIZE_BYTES),
    ];
    const [first = ''] = names(oldest);
    const islands = all.slice(0, all.indexOf(oldest)).map(names);
    for (const name of this.segments.keys()) {
      const isInIsland = islands.some(([from = '', to = '']) => name >= from && name <= to);
      if (name < first && !isInIsland) this.segments.delete(name);
    }
    this.leftovers.clear();
  }

  annotate({ label, key, value }: AnnotateRequest): void {
    this.requireUp();
    const index = this.backups.findIndex(({ backup }) => backup.label === label);
    const found = this.backups[index];
    if (found === undefined) throw new SpokeError('TARGET_NOT_FOUND', `there is no backup ${label}`);
    const { [key]: _before, ...others } = found.backup.annotations;
    const annotations = value === '' ? others : { ...others, [key]: value };
    this.backups[index] = { ...found, backup: { ...found.backup, annotations } };
  }

  #requireDeletable(): void {
    this.requireUp();
    if (this.isLocked) throw new SpokeError('LOCKED', 'unable to acquire the lock of the engine');
    if (this.deniesDeletion) throw new SpokeError('REPOSITORY_DENIED', `repository ${this.name} lets nothing be deleted`);
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
