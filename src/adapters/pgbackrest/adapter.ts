import type { BackupLabel, RepositoryName } from '../../domain/catalog/base-backup.ts';
import { asSpokeError, SpokeError } from '../../errors.ts';
import type { BackupCatalogReader, BackupEngine, BackupRequest, CommandPreview, EngineVersion } from '../../ports/backup-engine.ts';
import type { Clock } from '../../ports/clock.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import {
  annotateArguments,
  archiveCommand,
  backupArguments,
  checkArguments,
  replayRestoreCommand,
  standbyRestoreCommand,
  expireBackupArguments,
  pushSegmentArguments,
  expireWalArguments,
  restoreArguments,
  RUN_ANNOTATION,
  standbyRestoreArguments,
  stanzaCreateArguments,
  verifyArguments,
  recipeRestoreCommand,
} from './arguments.ts';
import { readBackupDetail, readRepository } from './catalog-reader.ts';
import { runWorking } from './command.ts';
import { expireBackup, expireWal, readOwnExpiry } from './expire.ts';
import { isConfigurationFileCurrent, makeLocalRepositories, writeConfigurationFile } from './configuration-file.ts';
import { markAsHalfRestored } from './half-restored.ts';
import { createRecentReads, type RecentReads } from '../common/recent-reads.ts';
import { whileLocked } from './lock.ts';
import { readNewLabel } from './progress.ts';
import { readPushErrors } from './push-errors.ts';
import { endReadingAhead } from './read-ahead.ts';
import type { PgbackrestSettings, RepositorySettings } from './settings.ts';
import { readVerifyReport } from './verify-report.ts';
import { locksWholeStanza, newestPostgres, readVersion } from './versions.ts';

const VERSION_TIMEOUT_MS = 10_000;

export interface PgbackrestParts {
  readonly settings: PgbackrestSettings;
  readonly runner: ProcessRunner;
  readonly clock: Clock;
}

/** pgBackRest as a backup engine. Reading needs no file; what works writes the configuration first where it differs. */
export function createPgbackrestEngine(parts: PgbackrestParts): { readonly reader: BackupCatalogReader; readonly engine: BackupEngine } {
  const recent = createRecentReads(parts.clock);
  const reader = createReader(parts, recent);
  return { reader, engine: createEngine(parts, reader, recent) };
}

function createReader(parts: PgbackrestParts, recent: RecentReads): BackupCatalogReader {
  const { settings } = parts;
  let known: Promise<EngineVersion> | undefined;
  const reading = { ...parts, knownHistories: new Map() };
  return {
    readVersion: (_repository, context) => (known ??= askVersion(parts, context)),
    readRepository: (name, options, context) =>
      recent.unlessRecent(name, options, () => readRepository(reading, repositoryOf(settings, name), options, context)),
    readOwnExpiry: (name, context) => readOwnExpiry(parts, repositoryOf(settings, name), context),
    readBackupDetail: (name, label, context) => readBackupDetail(reading, repositoryOf(settings, name), label, context),
    async verifyRepository(name, context) {
      // Its workers read the configuration each, so it has to be a file; and reading writes none.
      if (!(await isConfigurationFileCurrent(settings)))
        throw new SpokeError('REFUSED_PRECONDITION', `${settings.configFile} is not there or not up to date.`, {
          hint: 'Write it: spoke-backup setup archiving',
        });
      const repository = repositoryOf(settings, name);
      return readVerifyReport(await runWorking(parts, verifyArguments(settings, repository.index), { repository }, context));
    },
    isConfigurationCurrent: () => isConfigurationFileCurrent(settings),
    readPushErrors: () => readPushErrors(settings),
    readHeldWal: () => Promise.resolve([]),
  };
}

async function askVersion({ settings, runner }: PgbackrestParts, { signal }: OperationContext): Promise<EngineVersion> {
  const { stdout } = await runner.run({
    file: settings.command,
    argv: ['version'],
    readsOnly: true,
    signal,
    timeoutMs: VERSION_TIMEOUT_MS,
  });
  const version = readVersion(stdout);
  const newest = newestPostgres(version);
  return {
    name: 'pgbackrest',
    version,
    ...(newest === undefined ? {} : { newestPostgres: newest }),
    ...(locksWholeStanza(version) ? { locksWholeStanza: true } : {}),
  };
}

function createEngine(parts: PgbackrestParts, reader: BackupCatalogReader, recent: RecentReads): BackupEngine {
  const { settings } = parts;
  const preview = (argv: readonly string[]): CommandPreview => ({ argv: [settings.command, ...argv] });
  const indexOf = (name: RepositoryName) => repositoryOf(settings, name).index;
  return {
    previewWriteConfiguration: () => [{ argv: ['(write)', settings.configFile] }],
    previewCreateRepositories: () => [...localRepositoryPreviews(settings), preview(stanzaCreateArguments(settings))],
    previewCheckArchiving: () => [preview(checkArguments(settings))],
    previewBackup: (request) => [preview(backupArguments(settings, indexOf(request.repository), request))],
    previewRestore: (request) => [preview(restoreArguments(settings, indexOf(request.repository), request))],
    replaySettings: ({ repository, workDirectory }) => ({
      restore_command: replayRestoreCommand(settings, { repository: indexOf(repository), workDirectory }),
    }),
    standbySettings: (name) => ({ restore_command: standbyRestoreCommand(settings, indexOf(name)) }),
    previewExpireBackup: (request) => [preview(expireBackupArguments(settings, indexOf(request.repository), request))],
    // How many full backups there are from the floor on is counted right before.
    previewExpireWal: (request) => [preview(expireWalArguments(settings, indexOf(request.repository), `<fulls from ${request.floor} on>`))],
    previewAnnotate: (request) => [preview(annotateArguments(settings, indexOf(request.repository), request))],
    previewVerify: (name) => [preview(verifyArguments(settings, indexOf(name)))],
    standbyRecipe: (dataDirectory) => ({
      restoreCommand: recipeRestoreCommand(settings),
      restoreBackup: [settings.command, ...standbyRestoreArguments(settings, dataDirectory)],
    }),
    archivingSettings: () => ({ archive_mode: 'on', archive_command: archiveCommand(settings) }),
    backupSettings: () => ({}),
    writeConfiguration: () => writeConfigurationFile(parts, { signal: new AbortController().signal }),
    async createRepositories(context) {
      await makeLocalRepositories(settings);
      await prepare(parts, context);
      await recent.changing(() => whileLocked(parts.clock, context, () => runWorking(parts, stanzaCreateArguments(settings), {}, context)));
    },
    async checkArchiving(context) {
      await prepare(parts, context);
      await runWorking(parts, checkArguments(settings), {}, context);
    },
    // What it acknowledges is in every repository.
    awaitArchived: () => Promise.resolve(),
    shipsWal: false,
    shipWal: () => Promise.resolve(),
    async archiveSegment(path, context) {
      await prepare(parts, context);
      await runWorking(parts, pushSegmentArguments(settings, path), {}, context);
    },
    takeBackup: (request, context) => takeBackup(parts, reader, recent, request, context),
    async expireBackup(request, context) {
      await prepare(parts, context);
      const repository = repositoryOf(settings, request.repository);
      await recent.changing(() => whileLocked(parts.clock, context, () => expireBackup(parts, repository, request, context)));
    },
    async expireWal(request, context) {
      await prepare(parts, context);
      const repository = repositoryOf(settings, request.repository);
      await recent.changing(() => whileLocked(parts.clock, context, () => expireWal(parts, repository, request, context)));
    },
    async annotateBackup(request, context) {
      await prepare(parts, context);
      const repository = repositoryOf(settings, request.repository);
      const argv = annotateArguments(settings, repository.index, request);
      await recent.changing(() => whileLocked(parts.clock, context, () => runWorking(parts, argv, { repository }, context)));
    },
    async restoreBackup(request, context) {
      await prepare(parts, context);
      const repository = repositoryOf(settings, request.repository);
      if (request.resume) await markAsHalfRestored(request.dataDirectory, settings);
      await runWorking(parts, restoreArguments(settings, repository.index, request), { repository }, context);
    },
    // The first archive-get of the server begins it.
    beginReplay: () => Promise.resolve(),
    endReplay: ({ workDirectory }, context) => endReadingAhead(parts, workDirectory, context),
  };
}

async function prepare(parts: PgbackrestParts, context: OperationContext): Promise<void> {
  if (!(await isConfigurationFileCurrent(parts.settings))) await writeConfigurationFile(parts, context);
}

async function takeBackup(
  parts: PgbackrestParts,
  reader: BackupCatalogReader,
  recent: RecentReads,
  request: BackupRequest,
  context: OperationContext,
): Promise<BackupLabel> {
  await prepare(parts, context);
  const repository = repositoryOf(parts.settings, request.repository);
  const argv = backupArguments(parts.settings, repository.index, request);
  const progress = { isComplete: false };
  const onLine = (line: string) => {
    progress.isComplete ||= readNewLabel(line) !== undefined;
  };
  try {
    await recent.changing(() => whileLocked(parts.clock, context, () => runWorking(parts, argv, { repository, onLine }, context)));
  } catch (thrown) {
    // A complete backup is one, also where expiry, which follows it, failed; the next backup expires again.
    if (!progress.isComplete || context.signal.aborted) throw thrown;
    context.onProgress?.({ phase: `complete, but old backups were not expired: ${asSpokeError(thrown).message}` });
  }
  const { backups } = await reader.readRepository(request.repository, { walArchive: false }, context);
  const taken = backups.findLast((backup) => backup.annotations[RUN_ANNOTATION] === request.runId);
  if (taken !== undefined) return taken.label;
  throw new SpokeError('TOOL_FAILED', `pgbackrest took a backup, but repository ${request.repository} shows none of run ${request.runId}`);
}

function localRepositoryPreviews({ repositories }: PgbackrestSettings): CommandPreview[] {
  return repositories.flatMap((repository) => (repository.kind === 'local' ? [{ argv: ['mkdir', '-p', repository.path] }] : []));
}

function repositoryOf(settings: PgbackrestSettings, name: RepositoryName): RepositorySettings {
  const found = settings.repositories.find((repository) => repository.name === name);
  if (found === undefined) throw new SpokeError('USAGE', `there is no repository "${name}"`);
  return found;
}
