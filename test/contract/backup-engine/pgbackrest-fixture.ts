import { chmod, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSystemClock } from '../../../src/adapters/clock/clock.ts';
import { createPgbackrestEngine } from '../../../src/adapters/pgbackrest/adapter.ts';
import type { PgbackrestSettings } from '../../../src/adapters/pgbackrest/settings.ts';
import { createProcessRunner } from '../../../src/adapters/process/index.ts';
import type { BackupLabel, RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { createCluster, createTestArea, serverOn, type TestArea, type TestServer } from '../../harness/postgres.ts';
import type { EngineUnderTest } from './backup-engine.contract.ts';

export interface PgbackrestOptions {
  readonly walSegmentMegabytes?: number;
  readonly walDirectory?: boolean;
  /** The directory of everything that is pgBackRest's. */
  readonly directoryName?: string;
  readonly settings?: Partial<PgbackrestSettings>;
  readonly cipherPassphrase?: string;
  /** Of the two; both where it is not given. */
  readonly repositories?: 1 | 2;
}

export interface PgbackrestUnderTest extends EngineUnderTest {
  readonly area: TestArea;
  readonly settings: PgbackrestSettings;
  /** The engine again with other settings. */
  withSettings(more: Partial<PgbackrestSettings>): Pick<EngineUnderTest, 'reader' | 'engine'>;
}

const REPOSITORIES = ['one', 'two'] as unknown as readonly [RepositoryName, RepositoryName];

/** A running primary of the newest PostgreSQL that archives by pgBackRest into two local repositories. */
export async function createPgbackrest(options: PgbackrestOptions = {}): Promise<PgbackrestUnderTest> {
  const area = await createTestArea();
  const walDirectory = options.walDirectory === true ? join(await area.directory('wal'), 'pg_wal') : undefined;
  const primary = await createCluster(area, 'p', {
    ...(options.walSegmentMegabytes === undefined ? {} : { walSegmentMegabytes: options.walSegmentMegabytes }),
    ...(walDirectory === undefined ? {} : { walDirectory }),
  });
  const settings = { ...settingsOf(await area.directory(options.directoryName ?? 'b'), primary, area, options), ...options.settings };
  const build = (more: Partial<PgbackrestSettings> = {}) =>
    createPgbackrestEngine({ settings: { ...settings, ...more }, runner: createProcessRunner(), clock: createSystemClock() });
  const { reader, engine } = build();
  await engine.writeConfiguration();
  await primary.start(engine.archivingSettings());
  let servers = 0;
  return {
    ...{ area, reader, engine, primary, settings, repositories: REPOSITORIES, withSettings: build, takesIncrementals: true },
    directory: (name) => area.directory(name),
    serverOn: (dataDirectory) => serverOn(area, dataDirectory, `s${(servers += 1)}`),
    damage: (repository, label) => flipByte(settings, repository, label),
    takeAway: (repository) => moveAside(pathOf(settings, repository)),
    dispose: () => area.remove(),
  };
}

function settingsOf(
  directory: string,
  primary: TestServer,
  { owner }: TestArea,
  { cipherPassphrase, repositories = 2 }: PgbackrestOptions,
): PgbackrestSettings {
  return {
    stanza: 'demo',
    command: 'pgbackrest',
    processMax: 2,
    compressType: 'lz4',
    lockPath: join(directory, 'lock'),
    spoolPath: join(directory, 'spool'),
    logPath: join(directory, 'log'),
    configFile: join(directory, 'etc', 'pgbackrest.conf'),
    extraOptions: {},
    repositories: REPOSITORIES.slice(0, repositories).map((name, position) => ({
      ...{ name, index: position + 1, kind: 'local', path: join(directory, `repo-${name}`), retentionDays: 7 },
      ...(cipherPassphrase === undefined ? {} : { cipherPassphrase }),
    })),
    postgres: [{ dataDirectory: primary.dataDirectory, port: primary.port, socketDirectory: primary.socketDirectory }],
    user: owner,
  };
}

export function pathOf({ repositories }: PgbackrestSettings, name: RepositoryName): string {
  const repository = repositories.find((one) => one.name === name);
  if (repository?.kind !== 'local') throw new Error(`there is no local repository ${name}`);
  return repository.path;
}

/** In the largest stored file below the backup's data. */
async function flipByte(settings: PgbackrestSettings, repository: RepositoryName, label: BackupLabel): Promise<() => Promise<void>> {
  const directory = join(pathOf(settings, repository), 'backup', settings.stanza, label, 'pg_data', 'base');
  const names = (await readdir(directory, { recursive: true })).map((name) => join(directory, name));
  const sizes = await Promise.all(names.map(async (path) => ({ path, ...(await sizeOf(path)) })));
  const largest = sizes.filter((entry) => entry.isFile).sort((a, b) => b.size - a.size)[0];
  if (largest === undefined) throw new Error(`there is no file below ${directory}`);
  const content = await readFile(largest.path);
  const file = await open(largest.path, 'r+');
  const middle = Math.floor(content.length / 2);
  await file.write(Buffer.from([(content[middle] ?? 0) ^ 0x55]), 0, 1, middle);
  await file.close();
  return () => writeFile(largest.path, content);
}

async function sizeOf(path: string): Promise<{ isFile: boolean; size: number }> {
  const found = await stat(path);
  return { isFile: found.isFile(), size: found.size };
}

/** Another file system is mounted over it, as it were: one that pgBackRest may not look into. */
async function moveAside(path: string): Promise<() => Promise<void>> {
  await rename(path, `${path}.aside`);
  await writeFile(path, '');
  await chmod(path, 0);
  return async () => {
    await rm(path);
    await rename(`${path}.aside`, path);
  };
}
