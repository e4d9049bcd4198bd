import type { BackupLabel } from '../../src/domain/catalog/base-backup.ts';
import type { BackupCatalogReader, BackupEngine, BackupRequest, RestoreRequest } from '../../src/ports/backup-engine.ts';
import { formatLsn } from '../../src/domain/postgres/lsn.ts';
import { recoverySettings, withoutRecoverySettings } from '../../src/domain/recovery/settings.ts';
import { SpokeError } from '../../src/errors.ts';
import { dataDirectoryFiles, formatSettings, POSTGRES_MAJOR, putFile } from './data-directory.ts';
import type { Disturbance, FakeProcess } from './process.ts';
import { type FakeBackup, type FakeRepository, takeFakeBackup } from './repository.ts';
import { type FakeWorld, POSTGRES_USER } from './world.ts';

/** What PostgreSQL is to be set to so that it archives. */
export const FAKE_ARCHIVING_SETTINGS = { archive_mode: 'on', archive_command: 'fake-archive-push %p' };

export function fakeCatalogReader(process: FakeProcess): BackupCatalogReader {
  const { world } = process;
  return {
    readVersion: () => process.read(() => world.engine),
    readRepository: (name, options) => process.read(() => repositoryNamed(world, name).snapshot(world.now(), options)),
    readPushErrors: () => process.read(() => []),
    readHeldWal: () => process.read(() => []),
    isConfigurationCurrent: () => process.read(() => world.configurationIsCurrent),
    readOwnExpiry: (name) => process.read(() => repositoryNamed(world, name).ownExpiry(world.now())),
    readBackupDetail: (name, label) =>
      process.read(() => {
        const { backup, tablespaces } = backupOf(repositoryNamed(world, name), label);
        return { label: backup.label, tablespaces, links: [] };
      }),
    verifyRepository: (name) =>
      process.read(() => {
        if (!world.configurationIsCurrent) throw new SpokeError('REFUSED_PRECONDITION', 'the configuration is not up to date');
        const { damagedBackups, damagedSegments } = repositoryNamed(world, name);
        const faults = [...damagedBackups, ...damagedSegments].map(String);
        return { ok: faults.length === 0, faults, damagedBackups: [...damagedBackups] as BackupLabel[] };
      }),
  };
}

export function fakeEngine(process: FakeProcess): BackupEngine {
  const { world } = process;
  return {
    previewWriteConfiguration: () => [{ argv: ['(write)', 'fake.conf'] }],
    previewCreateRepositories: () => [{ argv: ['fake', 'create'] }],
    previewBackup: ({ repository, type }) => [{ argv: ['fake', 'backup', repository, type] }],
    previewRestore: ({ repository, label, dataDirectory }) => [{ argv: ['fake', 'restore', repository, label, dataDirectory] }],
    previewCheckArchiving: () => [{ argv: ['fake', 'check'] }],
    replaySettings: ({ repository }) => ({ restore_command: fakeArchiveGet(repository) }),
    standbySettings: (repository) => ({ restore_command: fakeArchiveGet(repository) }),
    previewExpireBackup: ({ repository, label }) => [{ argv: ['fake', 'expire', repository, label] }],
    previewExpireWal: ({ repository, floor }) => [{ argv: ['fake', 'expire-wal', repository, floor] }],
    previewAnnotate: ({ repository, label, key }) => [{ argv: ['fake', 'annotate', repository, label, key] }],
    previewVerify: (repository) => [{ argv: ['fake', 'verify', repository] }],
    standbyRecipe: (dataDirectory) => ({ restoreCommand: 'fake-archive-get %f %p', restoreBackup: ['fake', 'restore', dataDirectory] }),
    archivingSettings: () => FAKE_ARCHIVING_SETTINGS,
    backupSettings: () => ({}),
    writeConfiguration: () => process.change('write configuration', () => void (world.configurationIsCurrent = true)),
    createRepositories: () =>
      process.change(
        'create repositories',
        () => createRepositories(world.repositories),
        () => createRepositories(world.repositories.slice(0, 1)),
      ),
    checkArchiving: () => process.change('check archiving', () => checkArchiving(world)),
    awaitArchived: () => Promise.resolve(),
    shipsWal: false,
    shipWal: () => Promise.resolve(),
    archiveSegment: () => Promise.reject(new Error('nothing was streamed')),
    takeBackup: (request) =>
      process.change(
        `take backup into ${request.repository}`,
        () => (world.engine.copiesIntoSeveral === true ? takeIntoSeveral(world, request) : takeBackup(world, request)),
        (kind) => leaveHalfTaken(world, request, kind),
      ),
    expireBackup: (request) =>
      process.change(
        `expire ${request.label} of ${request.repository}`,
        () => repositoryNamed(world, request.repository).expireBackup(request, false),
        () => repositoryNamed(world, request.repository).expireBackup(request, true),
      ),
    expireWal: (request) =>
      process.change(`expire WAL of ${request.repository}`, () => repositoryNamed(world, request.repository).expireWal(request)),
    annotateBackup: (request) =>
      process.change(`annotate ${request.label} of ${request.repository}`, () =>
        repositoryNamed(world, request.repository).annotate(request),
      ),
    restoreBackup: (request) =>
      process.change(
        `restore ${request.label} of ${request.repository}`,
        () => restoreBackup(world, request, 'whole'),
        () => restoreBackup(world, request, 'half'),
      ),
    // Nothing is fetched ahead here.
    beginReplay: () => Promise.resolve(),
    endReplay: () => Promise.resolve(),
  };
}

function repositoryNamed(world: FakeWorld, name: string): FakeRepository {
  const found = world.repositories.find((repository) => repository.name === name);
  if (found === undefined) throw new SpokeError('INTERNAL', `there is no repository ${name}`);
  return found;
}

function backupOf(repository: FakeRepository, label: string): FakeBackup {
  repository.requireUp();
  const found = repository.backupLabelled(label);
  if (found === undefined) throw new SpokeError('NO_BACKUP', `there is no backup ${label} in repository ${repository.name}`);
  return found;
}

function createRepositories(repositories: readonly FakeRepository[]): void {
  for (const repository of repositories) {
    repository.requireUp();
    repository.initialised = true;
  }
}

function checkArchiving(world: FakeWorld): void {
  const primary = world.origin();
  if (primary?.archives !== true)
    throw new SpokeError('TOOL_FAILED', 'no segment was archived: archive_mode or archive_command is not set');
  world.history.switchSegment();
  for (const repository of world.repositories) {
    repository.requireUp();
    repository.archiveEverything();
  }
}

/** Waits for whoever holds the engine's lock; what that was, of this very run, is this backup. */
function takeBackup(world: FakeWorld, request: BackupRequest): BackupLabel {
  finishOrphanedBackups(world);
  const repository = repositoryNamed(world, request.repository);
  const orphaned = repository.backups.find(({ backup }) => backup.annotations['spoke-run'] === request.runId);
  const fault = repository.backupFaults.shift();
  if (fault?.isComplete === false) throw fault.error;
  const label = orphaned?.backup.label ?? writeBackup(world, repository, request);
  if (fault !== undefined) throw fault.error;
  return label;
}

/** What fails in one of them is not there, and is said of the first alone. */
function takeIntoSeveral(world: FakeWorld, request: BackupRequest): BackupLabel {
  for (const repository of request.alsoInto ?? []) {
    try {
      takeBackup(world, { ...request, repository });
    } catch (thrown) {
      if (!(thrown instanceof SpokeError)) throw thrown;
    }
  }
  return takeBackup(world, request);
}

/**
 * A process that is killed leaves the engine's behind, which goes on; not one that still waited for the engine's lock. Where the engine is
 * our own process, some of the repositories have the backup, and nothing goes on.
 */
function leaveHalfTaken(world: FakeWorld, request: BackupRequest, kind: Disturbance['kind']): void {
  if (world.engine.copiesIntoSeveral !== true) {
    if (kind === 'crash' && world.orphanedBackups.length === 0) world.orphanedBackups.push(request);
    return;
  }
  const [other] = request.alsoInto ?? [];
  const repository = world.repositories.find(({ name }) => name === other);
  if (repository?.state === 'up' && world.origin() !== undefined) writeBackup(world, repository, request);
}

/** Engine processes that outlived the one that started them come to their end. */
export function finishOrphanedBackups(world: FakeWorld): void {
  for (const request of world.orphanedBackups.splice(0)) {
    const repository = repositoryNamed(world, request.repository);
    if (repository.state === 'up' && world.origin() !== undefined) writeBackup(world, repository, request);
  }
}

function writeBackup(world: FakeWorld, repository: FakeRepository, { type, runId }: BackupRequest): BackupLabel {
  repository.requireUp();
  if (world.origin() === undefined) throw new SpokeError('TOOL_FAILED', 'unable to find primary cluster');
  const annotations = { 'spoke-run': runId };
  return takeFakeBackup(repository, world.history, { type, annotations, tablespaces: [], postgresqlConf: '', autoConf: '' }).label;
}

/** Everything but pg_control first; what was half copied is found and completed with `resume`, and refused without. */
function restoreBackup(world: FakeWorld, request: RestoreRequest, extent: 'whole' | 'half'): void {
  const { fs } = world;
  const { dataDirectory, resume, tablespaceMap } = request;
  const occupied = [dataDirectory, ...tablespaceMap.map(({ location }) => location)].find((path) => fs.list(path).length > 0);
  if (occupied !== undefined && !resume) throw new SpokeError('REFUSED_UNSAFE_DIRECTORY', `${occupied} is not empty`);
  const running = fs.directory(dataDirectory);
  if (running !== undefined && world.serverOn(running.identity) !== undefined)
    throw new SpokeError('REFUSED_SERVER_RUNNING', `a server runs in ${dataDirectory}`);
  const repository = repositoryNamed(world, request.repository);
  const taken = backupOf(repository, request.label);
  const owner = fs.directory(dataDirectory)?.owner ?? POSTGRES_USER;
  const files = dataDirectoryFiles({
    control: {
      systemIdentifier: String(taken.backup.systemIdentifier),
      state: 'in production',
      timeline: taken.backup.timeline,
      redo: formatLsn(taken.backup.startLsn),
      consistentAt: formatLsn(taken.backup.stopLsn),
    },
    content: { lsn: formatLsn(taken.backup.startLsn), timeline: taken.backup.timeline },
    owner,
    ...(taken.postgresqlConf === undefined ? {} : { postgresqlConf: taken.postgresqlConf }),
    autoConf: autoConfOf(taken, request),
  });
  const isDamaged = repository.damagedBackups.has(request.label);
  const written = extent === 'half' || isDamaged ? files.slice(0, Math.ceil(files.length / 2)) : files;
  // Over old data: what cannot be started before it is whole (pgBackRest, --delta).
  if (resume && fs.directory(`${dataDirectory}/global`) !== undefined) fs.remove(`${dataDirectory}/global/pg_control`);
  fs.makeDirectory(`${dataDirectory}/pg_wal`, owner);
  fs.makeDirectory(`${dataDirectory}/pg_tblspc`, owner);
  if (written.length === files.length) {
    for (const { oid, location } of tablespaceMap) {
      putFile(fs, location, `PG_${POSTGRES_MAJOR}/1`, 'rows', owner);
      fs.link(`${dataDirectory}/pg_tblspc/${oid}`, location);
    }
    fs.writeFile(`${dataDirectory}/${request.standby === true ? 'standby' : 'recovery'}.signal`, '');
  }
  for (const [path, content] of written) putFile(fs, dataDirectory, path, content, owner);
  if (isDamaged) throw new SpokeError('BACKUP_DAMAGED', `[029]: a file of backup ${request.label} has a wrong checksum`);
}

function autoConfOf({ autoConf }: FakeBackup, { repository, target, timeline, targetAction }: RestoreRequest): string {
  const settings = recoverySettings(target, timeline, { restoreCommand: fakeArchiveGet(repository), targetAction });
  return `${withoutRecoverySettings(autoConf)}${formatSettings(settings)}`;
}

function fakeArchiveGet(repository: string): string {
  return `fake-archive-get ${repository}`;
}
