import { chmod, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSystemClock } from '../../../src/adapters/clock/clock.ts';
import { createFileBlobStore } from '../../../src/adapters/files/blob-store.ts';
import { createNativeEngine } from '../../../src/adapters/native/adapter.ts';
import type { NativeParts } from '../../../src/adapters/native/parts.ts';
import type { NativeRepository, NativeSettings } from '../../../src/adapters/native/settings.ts';
import { createPostgresReader } from '../../../src/adapters/postgres/reader.ts';
import { createPostgresWriter } from '../../../src/adapters/postgres/writer.ts';
import { createProcessRunner } from '../../../src/adapters/process/index.ts';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import type { BackupEngine } from '../../../src/ports/backup-engine.ts';
import type { BlobStore } from '../../../src/ports/blob-store.ts';
import { createCluster, createTestArea, newestInstallation, serverOn, type TestArea, type TestServer } from '../../harness/postgres.ts';
import type { EngineUnderTest } from './backup-engine.contract.ts';

const PROGRAMS = join(import.meta.dirname, '../../../bin');
const INCREMENTAL_SINCE = 17;

export interface NativeOptions {
  readonly walSegmentMegabytes?: number;
  /** The directory of everything that is the engine's. */
  readonly directoryName?: string;
  readonly settings?: Partial<NativeSettings>;
  readonly parts?: Partial<NativeParts>;
  readonly repositories?: 1 | 2;
  /** In place of the second local one. */
  readonly second?: NativeRepository;
  /** What the engine gets in place of a store. */
  readonly wrapStore?: (store: BlobStore, repository: RepositoryName) => BlobStore;
  /** Of the primary's start, beside what archives. */
  readonly serverSettings?: Readonly<Record<string, string>>;
}

export interface NativeUnderTest extends EngineUnderTest {
  readonly area: TestArea;
  readonly settings: NativeSettings;
  /** The root of a local repository. */
  rootOf(repository: RepositoryName): string;
  /** The engine again with other settings, as another process would have it. */
  withSettings(more: Partial<NativeSettings>, parts?: Partial<NativeParts>): Pick<EngineUnderTest, 'reader' | 'engine'>;
  /** Makes a local repository beside the others. */
  repositoryAt(name: string, directory: string): NativeRepository;
}

const REPOSITORIES = ['one', 'two'] as unknown as readonly [RepositoryName, RepositoryName];

/** A running primary of the newest PostgreSQL that archives by the native engine into two local repositories. */
export async function createNative(options: NativeOptions = {}): Promise<NativeUnderTest> {
  const area = await createTestArea();
  const segments = options.walSegmentMegabytes === undefined ? {} : { walSegmentMegabytes: options.walSegmentMegabytes };
  const primary = await createCluster(area, 'p', segments);
  const directory = await area.directory(options.directoryName ?? 'n');
  const { major, binDirectory } = await newestInstallation();
  const repositoryAt = (name: string, root: string) => repositoryOf(name as RepositoryName, root, area, options.wrapStore);
  const settings: NativeSettings = {
    ...settingsOf(directory, primary, area, binDirectory),
    repositories: REPOSITORIES.slice(0, options.repositories ?? 2).map((name) =>
      name === options.second?.name ? options.second : repositoryAt(name, join(directory, `repository-${name}`)),
    ),
    ...(options.second === undefined ? {} : { ack: 'all' }),
    ...options.settings,
  };
  const build = (more: Partial<NativeSettings> = {}, parts: Partial<NativeParts> = {}) =>
    createNativeEngine({
      ...{ settings: { ...settings, ...more }, runner: createProcessRunner(), clock: createSystemClock() },
      ...{ postgres: createPostgresReader(), postgresWriter: createPostgresWriter() },
      ...options.parts,
      ...parts,
    });
  const { reader, engine } = build();
  await engine.writeConfiguration();
  const incremental: Readonly<Record<string, string>> = major >= INCREMENTAL_SINCE ? { summarize_wal: 'on' } : {};
  await primary.start({ ...engine.archivingSettings(), ...incremental, ...options.serverSettings });
  if (options.second !== undefined) keepShipping(engine, area);
  const rootOf = (name: RepositoryName) => settings.repositories.find((one) => one.name === name)?.directory ?? '';
  let servers = 0;
  return {
    ...{ area, reader, engine, primary, settings, repositories: REPOSITORIES, withSettings: build, repositoryAt, rootOf },
    takesIncrementals: major >= INCREMENTAL_SINCE,
    directory: (name) => area.directory(name),
    serverOn: (dataDirectory) => serverOn(area, dataDirectory, `s${(servers += 1)}`),
    damage: (repository, label) => flipByte(join(rootOf(repository), 'backups', label, 'base.tar.zst')),
    takeAway: (repository) => moveAside(rootOf(repository)),
    dispose: () => area.remove(),
  };
}

function settingsOf(
  directory: string,
  primary: TestServer,
  { owner }: TestArea,
  binDirectory: string,
): Omit<NativeSettings, 'repositories'> {
  const { socketDirectory, port, dataDirectory } = primary;
  return {
    cluster: 'demo',
    directory: join(directory, 'native'),
    programDirectory: PROGRAMS,
    binDirectoryOf: async () => binDirectory,
    ...{ compressType: 'zst', compressLevel: 1, backupFrom: 'primary', ack: 'local', ackTimeoutSeconds: 30 },
    nodes: [{ name: 'primary', dataDirectory, address: async () => ({ kind: 'socket', socketDirectory, port, user: 'postgres' }) }],
    user: owner,
  };
}

function repositoryOf(
  name: RepositoryName,
  directory: string,
  { owner }: TestArea,
  wrap: NativeOptions['wrapStore'] = (store) => store,
): NativeRepository {
  const store = wrap(createFileBlobStore({ directory, owner }), name);
  return { name, kind: 'local', retentionDays: 7, directory, open: async () => store };
}

/** A copy of the primary that follows it once it is started. */
export async function standbyOf(tested: NativeUnderTest, name: string): Promise<TestServer> {
  const { binDirectory } = await newestInstallation();
  const { socketDirectory, port } = tested.primary;
  const directory = await tested.directory(name);
  const from = ['-h', socketDirectory, '-p', String(port), '-U', 'postgres'];
  await tested.area.run(join(binDirectory, 'pg_basebackup'), [
    ...from,
    '-D',
    directory,
    '-X',
    'stream',
    '-R',
    '--no-sync',
    '--checkpoint=fast',
  ]);
  return tested.serverOn(directory);
}

/** As the daemon does: what is archived at home goes to where it is not. */
function keepShipping({ shipWal }: BackupEngine, area: TestArea): void {
  const stopping = new AbortController();
  const keep = async () => {
    for (; !stopping.signal.aborted; await sleep(100)) await shipWal(stopping.signal);
  };
  const shipping = keep();
  area.onRemove(async () => {
    stopping.abort();
    await shipping;
  });
}

/** In the middle of a file. Resolves with what mends it. */
export async function flipByte(path: string, offset?: number): Promise<() => Promise<void>> {
  const content = await readFile(path);
  const place = offset ?? Math.floor(content.length / 2);
  const file = await open(path, 'r+');
  await file.write(Buffer.from([(content[place] ?? 0) ^ 0x55]), 0, 1, place);
  await file.close();
  return () => writeFile(path, content);
}

/** Another file system is mounted over it, as it were: one that may not be looked into. */
async function moveAside(path: string): Promise<() => Promise<void>> {
  await rename(path, `${path}.aside`);
  await writeFile(path, '');
  await chmod(path, 0);
  return async () => {
    await rm(path);
    await rename(`${path}.aside`, path);
  };
}
