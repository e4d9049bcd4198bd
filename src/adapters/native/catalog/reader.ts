import type { BackupDetail, BackupLabel, BaseBackup, RepositoryName } from '../../../domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../../domain/catalog/repository-snapshot.ts';
import type { BackupRecord } from '../../../domain/native/backup-record.ts';
import { ownExpiryOf } from '../../../domain/native/own-expiry.ts';
import { segmentNumberOf, walSegmentName } from '../../../domain/postgres/wal-segment.ts';
import type { BackupCatalogReader, EngineVersion, ReadRepositoryOptions } from '../../../ports/backup-engine.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import { type NativeParts, repositoryOf, storeOf } from '../parts.ts';
import { readBackupVersion } from '../backup/version.ts';
import { withinTime } from '../time-limit.ts';
import type { NativeCatalog } from './catalog.ts';
import { type KnownNotes, type Notes, readNotes } from './notes.ts';
import type { RecentReads } from '../../common/recent-reads.ts';
import { verifyRepository } from './verify.ts';
import { type KnownHistories, readWalArchive } from './wal-listing.ts';

/** The run that took a backup, as an annotation. */
const RUN_ANNOTATION = 'spoke-run';
const FULL_BECAUSE_ANNOTATION = 'spoke-full-because';

/** A store that is patient with its server is not asked for longer; listing millions of objects takes its time. */
const READ_TIMEOUT_MS = 2 * 60_000;

type NativeReader = Omit<BackupCatalogReader, 'isConfigurationCurrent' | 'readPushErrors' | 'readHeldWal'>;

interface Reading {
  readonly parts: NativeParts;
  readonly catalog: NativeCatalog;
  readonly knownNotes: KnownNotes;
  readonly knownHistories: KnownHistories;
}

export function createNativeReader(parts: NativeParts, catalog: NativeCatalog, recent: RecentReads): NativeReader {
  const reading: Reading = { parts, catalog, knownNotes: new Map(), knownHistories: new Map() };
  let known: Promise<EngineVersion> | undefined;
  return {
    async readVersion(_repository, context) {
      known ??= readBackupVersion(parts, catalog, context);
      try {
        return await known;
      } catch (thrown) {
        // A server that is down now may answer the next time.
        known = undefined;
        throw thrown;
      }
    },
    readRepository: (name, options, context) =>
      recent.unlessRecent(name, options, () =>
        withinTime(name, context, READ_TIMEOUT_MS, (limited) => readRepository(reading, name, options, limited)),
      ),
    async readOwnExpiry(name, { signal }) {
      const { records } = await catalog.listBackups(name, signal);
      return ownExpiryOf(records, parts.clock.now(), repositoryOf(parts.settings, name).retentionDays);
    },
    readBackupDetail: (name, label, context) => readBackupDetail(reading, name, label, context),
    verifyRepository: (name, context) => verifyRepository(parts, catalog, name, context),
  };
}

async function readRepository(
  reading: Reading,
  name: RepositoryName,
  options: ReadRepositoryOptions,
  context: OperationContext,
): Promise<RepositorySnapshot> {
  const { parts, catalog } = reading;
  const repository = repositoryOf(parts.settings, name);
  const base = { repository: name, kind: repository.kind, readAt: parts.clock.now() };
  const cluster = await catalog.readCluster(name, context.signal);
  if (cluster === undefined) return { ...base, initialised: false, backups: [] };
  const { records } = await catalog.listBackups(name, context.signal);
  const store = await storeOf(parts, name);
  const notes = await readNotes(store, reading.knownNotes, parts.clock.now(), context.signal);
  const from = options.onlySinceNewestBackup === true ? firstSegmentOf(records.at(-1)) : undefined;
  const request = { segmentBytes: cluster.walSegmentBytes, ...(from === undefined ? {} : { from }) };
  return {
    ...base,
    initialised: true,
    systemIdentifier: cluster.systemIdentifier,
    postgresMajor: cluster.postgresMajor,
    backups: records.map((record) => ({ ...toBaseBackup(record, name, notes), ...stagedBytesOf(record, records) })),
    ...(options.walArchive ? { walArchive: await readWalArchive({ parts, store, known: reading.knownHistories }, request, context) } : {}),
  };
}

function firstSegmentOf(record: BackupRecord | undefined): string | undefined {
  if (record === undefined) return undefined;
  const { timeline, startLsn, walSegmentBytes } = record;
  return walSegmentName(timeline, segmentNumberOf(startLsn, walSegmentBytes), walSegmentBytes);
}

function toBaseBackup(record: BackupRecord, repository: RepositoryName, notes: Notes): BaseBackup {
  return {
    label: record.label,
    type: record.type,
    repository,
    ...(record.prior === undefined ? {} : { prior: record.prior }),
    references: record.references,
    systemIdentifier: record.systemIdentifier,
    postgresMajor: record.postgresMajor,
    timeline: record.timeline,
    startLsn: record.startLsn,
    stopLsn: record.stopLsn,
    startTime: record.startTime,
    stopTime: record.stopTime,
    databaseBytes: record.databaseBytes,
    repositoryBytes: record.storedBytes,
    hasPageErrors: record.hasPageErrors,
    annotations: {
      ...notes.get(record.label),
      [RUN_ANNOTATION]: record.runId,
      ...(record.fullBecause === undefined ? {} : { [FULL_BECAUSE_ANNOTATION]: record.fullBecause }),
    },
  };
}

/** The members of a chain lie unpacked beside what is made of them. */
function stagedBytesOf({ references, label }: BackupRecord, records: readonly BackupRecord[]): { readonly stagedBytes?: bigint } {
  if (references.length === 0) return {};
  const members = records.filter((record) => record.label === label || references.includes(record.label));
  return { stagedBytes: members.reduce((sum, { fileBytes }) => sum + fileBytes, 0n) };
}

async function readBackupDetail(
  { catalog }: Reading,
  name: RepositoryName,
  label: BackupLabel,
  { signal }: OperationContext,
): Promise<BackupDetail> {
  const { archives } = await catalog.readRecord(name, label, signal);
  const tablespaces = archives.flatMap(({ tablespaceOid: oid, tablespaceName, tablespaceLocation }) =>
    oid === undefined ? [] : [{ oid, name: tablespaceName ?? String(oid), location: tablespaceLocation ?? '' }],
  );
  // pg_basebackup copies no symbolic links but those of tablespaces: pg_wal becomes a folder, others are left out.
  return { label, tablespaces, links: [] };
}
