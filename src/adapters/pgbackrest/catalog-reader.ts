import type { BackupDetail, BackupLabel, BaseBackup, RepositoryName } from '../../domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../domain/catalog/repository-snapshot.ts';
import { parseLsn } from '../../domain/postgres/lsn.ts';
import { parseSystemIdentifier } from '../../domain/postgres/system-identifier.ts';
import { timelineIdOf } from '../../domain/postgres/timeline.ts';
import { instantOfSeconds } from '../../domain/time/instant.ts';
import { SpokeError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { ReadRepositoryOptions } from '../../ports/backup-engine.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { infoArguments, repoListArguments } from './arguments.ts';
import { type CommandParts, runReading } from './command.ts';
import { repositoryTrouble } from './errors.ts';
import { type InfoBackup, type InfoStanza, prepareInfo, readInfo, readRepositoryList } from './output.ts';
import { secretsOf } from './secrets.ts';
import type { RepositorySettings } from './settings.ts';
import { type KnownHistories, readWalArchive } from './wal-archive-reader.ts';

/** What `info` says of a repository. Everything else (99 above all) is a repository that cannot be read. */
const STATUS_OK = 0;
const STATUS_MISSING_STANZA_PATH = 1;
const STATUS_NO_BACKUP = 2;
const STATUS_MISSING_STANZA_DATA = 3;
const STATUS_BACKUP_NOT_FOUND = 6;
const BACKUP_FOLDER = /^(\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?)\//;

type Parts = CommandParts & { readonly clock: Clock; readonly knownHistories: KnownHistories };

/** Reads one repository: its backups, and where asked for the list of its WAL archive. */
export async function readRepository(
  parts: Parts,
  repository: RepositorySettings,
  options: ReadRepositoryOptions,
  context: OperationContext,
): Promise<RepositorySnapshot> {
  const { stanza, status } = await readStanza(parts, repository, undefined, context);
  const base = { repository: repository.name, kind: repository.kind, readAt: parts.clock.now() };
  if (status === STATUS_MISSING_STANZA_DATA) await refuseOrphanedBackups(parts, repository, context);
  const generation = stanza.db.toSorted((a, b) => a.id - b.id).at(-1);
  if (generation === undefined || status === STATUS_MISSING_STANZA_PATH || status === STATUS_MISSING_STANZA_DATA)
    return { ...base, initialised: false, backups: [] };
  const evidence = stanza.backup.filter((backup) => backup.database.id === generation.id);
  const walArchive = options.walArchive
    ? await readWalArchive(parts, repository, archiveRequest(`${generation.version}-${generation.id}`, evidence, options), context)
    : undefined;
  return {
    ...base,
    initialised: true,
    systemIdentifier: parseSystemIdentifier(generation['system-id']),
    postgresMajor: majorOf(generation.version),
    backups: stanza.backup.flatMap((backup) => toBaseBackup(backup, stanza, repository.name) ?? []),
    ...(walArchive === undefined ? {} : { walArchive }),
  };
}

function archiveRequest(generation: string, evidence: readonly InfoBackup[], { onlySinceNewestBackup }: ReadRepositoryOptions) {
  const newest = onlySinceNewestBackup === true ? evidence.findLast((backup) => backup.error !== true)?.archive.start : undefined;
  return { generation, evidence, ...(newest === null || newest === undefined ? {} : { from: newest }) };
}

/** What is told of one backup alone. Throws TARGET_NOT_FOUND where the repository does not hold it. */
export async function readBackupDetail(
  parts: Parts,
  repository: RepositorySettings,
  label: BackupLabel,
  context: OperationContext,
): Promise<BackupDetail> {
  const { stanza } = await readStanza(parts, repository, label, context);
  const backup = stanza.backup.find((one) => one.label === label);
  if (backup === undefined)
    throw new SpokeError('TARGET_NOT_FOUND', `repository ${repository.name} has no backup ${label}`, {
      hint: 'See what there is: spoke-backup backups',
    });
  return {
    label,
    tablespaces: (backup.tablespace ?? []).map(({ oid, name, destination }) => ({ oid, name, location: destination })),
    links: (backup.link ?? []).map(({ name, destination }) => ({ path: name, destination })),
  };
}

/** A full backup as pgBackRest counts them: also one of a stopped server. */
export interface FullBackup {
  readonly label: BackupLabel;
  /** Of the cluster generation. */
  readonly databaseId: number;
}

/** Every full backup of a repository, oldest first. */
export async function readFullBackups(
  parts: CommandParts,
  repository: RepositorySettings,
  context: OperationContext,
): Promise<readonly FullBackup[]> {
  const { stanza } = await readStanza(parts, repository, undefined, context);
  return stanza.backup
    .filter(({ type }) => type === 'full')
    .map(({ label, database }) => ({ label: label as BackupLabel, databaseId: database.id }))
    .sort((a, b) => (a.label < b.label ? -1 : 1));
}

/** Throws REPOSITORY_UNAVAILABLE and its kin where the repository did not answer, which `info` does not count as a failure. */
async function readStanza(parts: CommandParts, repository: RepositorySettings, label: BackupLabel | undefined, context: OperationContext) {
  const { settings } = parts;
  const about = { repository };
  const printing = runReading(parts, infoArguments(settings, repository.index, label), about, context);
  prepareInfo();
  const stanza = readInfo(await printing, settings.stanza);
  const status = stanza?.repo.find((one) => one.key === repository.index)?.status ?? stanza?.status;
  if (stanza === undefined || status === undefined)
    throw new SpokeError('TOOL_FAILED', `pgbackrest info says nothing of stanza ${settings.stanza} in repository ${repository.name}`);
  const known = [STATUS_OK, STATUS_MISSING_STANZA_PATH, STATUS_NO_BACKUP, STATUS_MISSING_STANZA_DATA, STATUS_BACKUP_NOT_FOUND];
  if (!known.includes(status.code)) throw repositoryTrouble(repository, status.message, secretsOf(settings));
  return { stanza, status: status.code };
}

/** A repository without its catalogue that still holds backups is damaged, not new: setting it up again would give them up. */
async function refuseOrphanedBackups(parts: Parts, repository: RepositorySettings, context: OperationContext): Promise<void> {
  const path = `backup/${parts.settings.stanza}`;
  const argv = repoListArguments(parts.settings, repository.index, path);
  const { files } = readRepositoryList(await runReading(parts, argv, { repository }, context));
  const labels = new Set(files.flatMap(({ name }) => BACKUP_FOLDER.exec(name)?.[1] ?? []));
  if (labels.size === 0) return;
  const message = `repository ${repository.name} holds ${labels.size} backups, but ${path}/backup.info, which lists them, is gone`;
  throw new SpokeError('BACKUP_DAMAGED', message, {
    details: { repository: repository.name, labels: [...labels].sort() },
    hint: 'Restore backup.info and backup.info.copy from a copy of the repository; until then use another one: --repo',
  });
}

/** Undefined for a backup that nothing can be recovered from by WAL: one of a stopped server, without a position. */
function toBaseBackup(backup: InfoBackup, stanza: InfoStanza, repository: RepositoryName): BaseBackup | undefined {
  const database = stanza.db.find((one) => one.id === backup.database.id);
  if (database === undefined || backup.lsn === undefined || backup.lsn === null || backup.archive.start === null) return undefined;
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
