import type { BackupDetail, BackupLabel, BaseBackup, RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../domain/catalog/repository-snapshot.ts';
import { walRangesOf, type WalArchive } from '../../domain/catalog/wal-archive.ts';
import { parseLsn } from '../../domain/postgres/lsn.ts';
import { parseSystemIdentifier } from '../../domain/postgres/system-identifier.ts';
import { timelineIdOf } from '../../domain/postgres/timeline.ts';
import { parseTimelineHistory, type TimelineHistory } from '../../domain/postgres/timeline-history.ts';
import { isWalSegmentName, parseWalSegmentName, segmentNumberOf, walSegmentName } from '../../domain/postgres/wal-segment.ts';
import { instantOfSeconds } from '../../domain/time/instant.ts';
import { SpokeError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { infoArguments, repoGetArguments, repoListArguments } from './arguments.ts';
import { type CommandParts, runReading } from './command.ts';
import { repositoryTrouble } from './errors.ts';
import { type InfoBackup, type InfoStanza, readInfo, readRepositoryList, type RepositoryList } from './output.ts';
import type { RepositorySettings } from './settings.ts';

const MEBIBYTE = 1024 * 1024;
const DEFAULT_SEGMENT_BYTES = 16 * MEBIBYTE;
const SEGMENT_SIZES_BYTES = Array.from({ length: 11 }, (_, power) => MEBIBYTE * 2 ** power);
/** info's status of a repository that has been set up: it answers, with or without backups. */
const STATUS_OK = 0;
const STATUS_NO_BACKUP = 2;
const STATUS_MISSING = [1, 3];
const ARCHIVED_SEGMENT = /([0-9A-F]{24})-[0-9a-f]{40}(?:\.\w+)?$/;
const HISTORY_FILE = /(?:^|\/)([0-9A-F]{8})\.history$/;

type Parts = CommandParts & { readonly clock: Clock };

/** Reads one repository: its backups, and where asked for the list of its WAL archive. */
export async function readRepository(
  parts: Parts,
  repository: RepositorySettings,
  options: { readonly walArchive: boolean },
  context: OperationContext,
): Promise<RepositorySnapshot> {
  const stanza = readInfo(await runReading(parts, infoArguments(parts.settings, repository.index), context), parts.settings.stanza);
  const status = stanza?.repo.find((one) => one.key === repository.index)?.status ?? stanza?.status;
  if (status !== undefined && ![STATUS_OK, STATUS_NO_BACKUP, ...STATUS_MISSING].includes(status.code))
    throw repositoryTrouble(status.message);
  const base = { repository: repository.name, kind: repository.kind, readAt: parts.clock.now() };
  const generation = stanza?.db.at(-1);
  if (stanza === undefined || generation === undefined || STATUS_MISSING.includes(status?.code ?? STATUS_OK))
    return { ...base, initialised: false, backups: [] };
  const backups = stanza.backup.map((backup) => toBaseBackup(backup, stanza, repository.name));
  const walArchive = options.walArchive ? await readWalArchive(parts, repository, generation, stanza.backup, context) : undefined;
  return {
    ...base,
    initialised: true,
    systemIdentifier: parseSystemIdentifier(generation['system-id']),
    postgresMajor: majorOf(generation.version),
    backups,
    ...(walArchive === undefined ? {} : { walArchive }),
  };
}

/** What is told of one backup alone. */
export async function readBackupDetail(
  parts: Parts,
  repository: RepositorySettings,
  label: BackupLabel,
  context: OperationContext,
): Promise<BackupDetail> {
  const stanza = readInfo(await runReading(parts, infoArguments(parts.settings, repository.index, label), context), parts.settings.stanza);
  const backup = stanza?.backup.find((one) => one.label === label);
  if (backup === undefined) throw new SpokeError('NO_BACKUP', `repository ${repository.name} has no backup ${label}`);
  return {
    label,
    tablespaces: (backup.tablespace ?? []).map(({ oid, name, destination }) => ({ oid, name, location: destination })),
    links: (backup.link ?? []).map(({ name, destination }) => ({ path: name, destination })),
  };
}

function toBaseBackup(backup: InfoBackup, stanza: InfoStanza, repository: RepositoryName): BaseBackup {
  const database = stanza.db.find((one) => one.id === backup.database.id);
  if (database === undefined || backup.lsn === undefined || backup.archive.start === null)
    throw new SpokeError('TOOL_FAILED', `pgbackrest info tells neither LSN nor cluster of backup ${backup.label}`);
  return {
    label: backup.label as BackupLabel,
    type: backup.type,
    repository,
    ...(backup.prior === null || backup.prior === undefined ? {} : { prior: backup.prior as BackupLabel }),
    references: (backup.reference ?? []) as BackupLabel[],
    systemIdentifier: parseSystemIdentifier(database['system-id']),
    postgresMajor: majorOf(database.version),
    timeline: timelineIdOf(Number.parseInt(backup.archive.start.slice(0, 8), 16)),
    startLsn: parseLsn(backup.lsn.start),
    stopLsn: parseLsn(backup.lsn.stop),
    startTime: instantOfSeconds(backup.timestamp.start),
    stopTime: instantOfSeconds(backup.timestamp.stop),
    databaseBytes: BigInt(backup.info.size),
    repositoryBytes: BigInt(backup.info.repository.delta ?? 0),
    hasPageErrors: backup.error === true,
    annotations: backup.annotation ?? {},
  };
}

/** `15` of `15` and of `9.6` `9`: what is older than 10 is not supported anyway. */
function majorOf(version: string): number {
  return Number.parseInt(version, 10);
}

async function readWalArchive(
  parts: Parts,
  repository: RepositorySettings,
  generation: InfoStanza['db'][number],
  backups: readonly InfoBackup[],
  context: OperationContext,
): Promise<WalArchive> {
  const path = `archive/${parts.settings.stanza}/${generation.version}-${generation.id}`;
  const listing = readRepositoryList(await runReading(parts, repoListArguments(parts.settings, repository.index, path), context));
  const segmentSizeBytes = segmentSizeOf(backups);
  return {
    segmentSizeBytes,
    ranges: walRangesOf(segmentsOf(listing, segmentSizeBytes)),
    histories: await readHistories(parts, repository, path, listing, context),
  };
}

function* segmentsOf(listing: RepositoryList, segmentSizeBytes: number) {
  for (const [name, { type, time }] of Object.entries(listing)) {
    const segment = type === 'file' ? ARCHIVED_SEGMENT.exec(name)?.[1] : undefined;
    if (segment === undefined || !isWalSegmentName(segment)) continue;
    yield { ...parseWalSegmentName(segment, segmentSizeBytes), ...(time === undefined ? {} : { archivedAt: instantOfSeconds(time) }) };
  }
}

async function readHistories(
  parts: Parts,
  repository: RepositorySettings,
  path: string,
  listing: RepositoryList,
  context: OperationContext,
): Promise<readonly TimelineHistory[]> {
  const names = Object.keys(listing).filter((name) => HISTORY_FILE.test(name));
  const histories = await Promise.all(
    names.map(async (name) => {
      const timeline = timelineIdOf(Number.parseInt(HISTORY_FILE.exec(name)?.[1] ?? '', 16));
      return parseTimelineHistory(
        await runReading(parts, repoGetArguments(parts.settings, repository.index, `${path}/${name}`), context),
        timeline,
      );
    }),
  );
  return histories.sort((a, b) => a.timeline - b.timeline);
}

/**
 * pgBackRest does not record the segment size, but each backup tells a position and the name of the segment that holds it:
 * only one size makes the one of the other.
 */
export function segmentSizeOf(backups: readonly Pick<InfoBackup, 'archive' | 'lsn'>[]): number {
  const known = backups.find((backup) => backup.lsn !== undefined && backup.archive.start !== null);
  if (known?.lsn === undefined || known.archive.start === null) return DEFAULT_SEGMENT_BYTES;
  const start = parseLsn(known.lsn.start);
  const timeline = timelineIdOf(Number.parseInt(known.archive.start.slice(0, 8), 16));
  const fitting = SEGMENT_SIZES_BYTES.find((size) => walSegmentName(timeline, segmentNumberOf(start, size), size) === known.archive.start);
  if (fitting === undefined) throw new SpokeError('TOOL_FAILED', `no WAL segment size puts ${known.lsn.start} into ${known.archive.start}`);
  return fitting;
}
