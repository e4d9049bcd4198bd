import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import { SpokeError } from '../../errors.ts';
import type { BackupCatalogReader, BackupEngine, CommandPreview } from '../../ports/backup-engine.ts';
import { mergeArchivingSettings, mergeStandbyRecipes } from './archiving-settings.ts';

/** An engine, and the repositories that it keeps. */
export interface EngineOfRepositories {
  readonly repositories: readonly RepositoryName[];
  readonly reader: BackupCatalogReader;
  readonly engine: BackupEngine;
}

/**
 * The engines of a cluster as one: what is about a repository goes to the engine that keeps it, what is about the cluster to all of them,
 * one after the other. Where there is one engine, it is that engine itself.
 */
export function engineByRepository(
  engines: readonly [EngineOfRepositories, ...EngineOfRepositories[]],
): Pick<EngineOfRepositories, 'reader' | 'engine'> {
  const [only, ...others] = engines;
  return others.length === 0 ? only : { reader: readerOf(engines), engine: engineOf(engines) };
}

function readerOf(engines: readonly EngineOfRepositories[]): BackupCatalogReader {
  const of = (repository: RepositoryName) => keeperOf(engines, repository).reader;
  return {
    readVersion: (repository, context) => of(repository).readVersion(repository, context),
    readRepository: (repository, options, context) => of(repository).readRepository(repository, options, context),
    readPushErrors: async () => (await Promise.all(engines.map(({ reader }) => reader.readPushErrors()))).flat(),
    readHeldWal: async () => (await Promise.all(engines.map(({ reader }) => reader.readHeldWal()))).flat(),
    isConfigurationCurrent: async () => (await Promise.all(engines.map(({ reader }) => reader.isConfigurationCurrent()))).every(Boolean),
    readOwnExpiry: (repository, context) => of(repository).readOwnExpiry(repository, context),
    readBackupDetail: (repository, label, context) => of(repository).readBackupDetail(repository, label, context),
    verifyRepository: (repository, context) => of(repository).verifyRepository(repository, context),
  };
}

function engineOf(engines: readonly EngineOfRepositories[]): BackupEngine {
  const of = ({ repository }: { readonly repository: RepositoryName }) => keeperOf(engines, repository).engine;
  const everyPreview = (preview: (engine: BackupEngine) => readonly CommandPreview[]) => engines.flatMap(({ engine }) => preview(engine));
  const each = async (act: (engine: BackupEngine) => Promise<void>) => {
    for (const { engine } of engines) await act(engine);
  };
  return {
    previewWriteConfiguration: () => everyPreview((engine) => engine.previewWriteConfiguration()),
    previewCreateRepositories: () => everyPreview((engine) => engine.previewCreateRepositories()),
    previewCheckArchiving: () => everyPreview((engine) => engine.previewCheckArchiving()),
    previewBackup: (request) => of(request).previewBackup(request),
    previewRestore: (request) => of(request).previewRestore(request),
    previewExpireBackup: (request) => of(request).previewExpireBackup(request),
    previewExpireWal: (request) => of(request).previewExpireWal(request),
    previewAnnotate: (request) => of(request).previewAnnotate(request),
    previewVerify: (repository) => of({ repository }).previewVerify(repository),
    standbySettings: (repository) => of({ repository }).standbySettings(repository),
    replaySettings: (replay) => of(replay).replaySettings(replay),
    standbyRecipe: (dataDirectory) => mergeStandbyRecipes(engines.map(({ engine }) => engine.standbyRecipe(dataDirectory))),
    archivingSettings: () => mergeArchivingSettings(engines.map(({ engine }) => engine.archivingSettings())),
    backupSettings: (postgresMajor) =>
      Object.assign({}, ...engines.map(({ engine }) => engine.backupSettings(postgresMajor))) as Record<string, string>,
    writeConfiguration: () => each((engine) => engine.writeConfiguration()),
    createRepositories: (context) => each((engine) => engine.createRepositories(context)),
    checkArchiving: (context) => each((engine) => engine.checkArchiving(context)),
    awaitArchived: (request, context) => of(request).awaitArchived(request, context),
    shipsWal: engines.some(({ engine }) => engine.shipsWal),
    async shipWal(signal) {
      await Promise.all(engines.map(({ engine }) => engine.shipWal(signal)));
    },
    archiveSegment: (path, context) => each((engine) => engine.archiveSegment(path, context)),
    takeBackup: (request, context) => of(request).takeBackup(request, context),
    restoreBackup: (request, context) => of(request).restoreBackup(request, context),
    beginReplay: (replay, context) => of(replay).beginReplay(replay, context),
    endReplay: (replay, context) => each((engine) => engine.endReplay(replay, context)),
    expireBackup: (request, context) => of(request).expireBackup(request, context),
    expireWal: (request, context) => of(request).expireWal(request, context),
    annotateBackup: (request, context) => of(request).annotateBackup(request, context),
  };
}

/** Throws USAGE where no engine keeps it. */
function keeperOf(engines: readonly EngineOfRepositories[], repository: RepositoryName): EngineOfRepositories {
  const found = engines.find(({ repositories }) => repositories.includes(repository));
  if (found === undefined) throw new SpokeError('USAGE', `there is no repository "${repository}"`);
  return found;
}
