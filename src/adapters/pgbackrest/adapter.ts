import { mkdir, open, readFile, rename, chown, chmod } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import { SpokeError } from '../../errors.ts';
import type { BackupCatalogReader, BackupEngine, CommandPreview, EngineVersion } from '../../ports/backup-engine.ts';
import type { Clock } from '../../ports/clock.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import {
  archiveCommand,
  backupArguments,
  checkArguments,
  restoreArguments,
  RUN_ANNOTATION,
  stanzaCreateArguments,
  verifyArguments,
} from './arguments.ts';
import { readBackupDetail, readRepository } from './catalog-reader.ts';
import { type CommandParts, runWorking } from './command.ts';
import { configurationText } from './configuration.ts';
import { readVerifyReport } from './output.ts';
import type { PgbackrestSettings, RepositorySettings } from './settings.ts';
import { newestPostgres, readVersion } from './versions.ts';

const VERSION_TIMEOUT_MS = 10_000;
const PASSABLE_MODE = 0o711;

export interface PgbackrestParts {
  readonly settings: PgbackrestSettings;
  readonly runner: ProcessRunner;
  readonly clock: Clock;
}

/** pgBackRest as a backup engine. Reading needs no file; what works writes the configuration first where it differs. */
export function createPgbackrestEngine(parts: PgbackrestParts): { readonly reader: BackupCatalogReader; readonly engine: BackupEngine } {
  const reader = createReader(parts);
  return { reader, engine: createEngine(parts, reader) };
}

function createReader(parts: PgbackrestParts): BackupCatalogReader {
  const { settings, runner } = parts;
  const askVersion = async (context: OperationContext): Promise<EngineVersion> => {
    const { stdout } = await runner.run({
      file: settings.command,
      argv: ['version'],
      signal: context.signal,
      timeoutMs: VERSION_TIMEOUT_MS,
    });
    const version = readVersion(stdout);
    const newest = newestPostgres(version);
    return { name: 'pgbackrest', version, ...(newest === undefined ? {} : { newestPostgres: newest }) };
  };
  let known: Promise<EngineVersion> | undefined;
  const version = (context: OperationContext) => (known ??= askVersion(context));
  return {
    readVersion: version,
    readRepository: (name, options, context) => readRepository(parts, repositoryOf(settings, name), options, context),
    readBackupDetail: (name, label, context) => readBackupDetail(parts, repositoryOf(settings, name), label, context),
    verifyRepository: async (name, context) =>
      readVerifyReport(await runWorking(parts, verifyArguments(settings, repositoryOf(settings, name).index), context)),
    isConfigurationCurrent: async () => (await readIfThere(settings.configFile)) === configurationText(settings),
  };
}

function createEngine(parts: PgbackrestParts, reader: BackupCatalogReader): BackupEngine {
  const { settings } = parts;
  const preview = (argv: readonly string[]): readonly CommandPreview[] => [{ argv: [settings.command, ...argv] }];
  const indexOf = (name: RepositoryName) => repositoryOf(settings, name).index;
  const prepared = async (): Promise<CommandParts> => {
    if (!(await reader.isConfigurationCurrent())) await writeConfiguration(settings);
    return parts;
  };
  return {
    previewWriteConfiguration: () => [{ argv: ['(write)', settings.configFile] }],
    previewCreateRepositories: () => preview(stanzaCreateArguments(settings)),
    previewCheckArchiving: () => preview(checkArguments(settings)),
    previewBackup: (request) => preview(backupArguments(settings, indexOf(request.repository), request)),
    previewRestore: (request) => preview(restoreArguments(settings, indexOf(request.repository), request)),
    archivingSettings: () => ({ archive_mode: 'on', archive_command: archiveCommand(settings) }),
    writeConfiguration: () => writeConfiguration(settings),
    async createRepositories(context) {
      await makeLocalRepositories(settings);
      await runWorking(await prepared(), stanzaCreateArguments(settings), context);
    },
    async checkArchiving(context) {
      await runWorking(await prepared(), checkArguments(settings), context);
    },
    async takeBackup(request, context) {
      await runWorking(await prepared(), backupArguments(settings, indexOf(request.repository), request), context);
      const { backups } = await reader.readRepository(request.repository, { walArchive: false }, context);
      const taken = backups.findLast((backup) => backup.annotations[RUN_ANNOTATION] === request.runId);
      if (taken === undefined)
        throw new SpokeError(
          'TOOL_FAILED',
          `pgbackrest reported success, but repository ${request.repository} shows no backup of run ${request.runId}`,
        );
      return taken.label;
    },
    async restoreBackup(request, context) {
      await runWorking(await prepared(), restoreArguments(settings, indexOf(request.repository), request), context);
    },
  };
}

function repositoryOf(settings: PgbackrestSettings, name: RepositoryName): RepositorySettings {
  const found = settings.repositories.find((repository) => repository.name === name);
  if (found === undefined) throw new SpokeError('USAGE', `there is no repository "${name}"`);
  return found;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** 0600 from its first byte on, whole or not at all. */
async function writeConfiguration(settings: PgbackrestSettings): Promise<void> {
  await makeOwned(dirname(settings.configFile), settings, 0o750);
  for (const path of [settings.logPath, settings.lockPath, settings.spoolPath]) await makeOwned(path, settings, 0o750);
  const temporary = `${settings.configFile}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(configurationText(settings));
    if (settings.user !== undefined) await file.chown(settings.user.uid, settings.user.gid);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, settings.configFile);
}

async function makeLocalRepositories(settings: PgbackrestSettings): Promise<void> {
  for (const repository of settings.repositories) if (repository.kind === 'local') await makeOwned(repository.path, settings, 0o750);
}

/** Makes what is missing of a path: the last directory for pgBackRest's user, those above such that it can pass through. */
async function makeOwned(path: string, { user }: PgbackrestSettings, mode: number): Promise<void> {
  const above = await mkdir(dirname(path), { recursive: true, mode: PASSABLE_MODE });
  for (let made = dirname(path); above !== undefined && made.length >= above.length; made = dirname(made)) await chmod(made, PASSABLE_MODE);
  if ((await mkdir(path, { recursive: true, mode })) === undefined) return;
  if (user !== undefined) await chown(path, user.uid, user.gid);
  await chmod(path, mode);
}
