import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, lstat, mkdir, readFile, readlink, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backupArguments } from '../../../src/adapters/pgbackrest/arguments.ts';
import type { RepositorySettings } from '../../../src/adapters/pgbackrest/settings.ts';
import type { BackupLabel, RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import type { RestoreRequest } from '../../../src/ports/backup-engine.ts';
import type { OperationContext } from '../../../src/ports/operation.ts';
import { createCluster } from '../../harness/postgres.ts';
import { asRoot, withMounts } from '../privileges.ts';
import { errorOf, until } from './backup-engine.contract.ts';
import { createPgbackrest, pathOf, type PgbackrestUnderTest } from './pgbackrest-fixture.ts';

const EXECUTABLES = join(import.meta.dirname, '../../fixtures/executables');
const LOCK_PATIENCE_MS = 60_000;
const ONE = 'one' as RepositoryName;
const TWO = 'two' as RepositoryName;
const context: OperationContext = { signal: new AbortController().signal };
const backup = { repository: ONE, type: 'full', runId: 'run-1' } as const;

async function restoreRequest(tested: PgbackrestUnderTest, label: BackupLabel, name: string): Promise<RestoreRequest> {
  return {
    ...{ repository: ONE, label, target: { kind: 'latest' }, timeline: 'latest', targetAction: 'pause', tablespaceMap: [], resume: false },
    dataDirectory: await tested.directory(name),
    workDirectory: await tested.directory(`${name}.w`),
  };
}

async function setUp(tested: PgbackrestUnderTest): Promise<BackupLabel> {
  await tested.engine.createRepositories(context);
  return tested.engine.takeBackup(backup, context);
}

describe('a pgBackRest whose world breaks', () => {
  let tested: PgbackrestUnderTest;
  let label: BackupLabel;

  beforeAll(async () => {
    tested = await createPgbackrest();
    label = await setUp(tested);
  });
  afterAll(() => tested.dispose());

  it('is not confused by a part of its configuration that somebody changed', async () => {
    const { configFile } = tested.settings;
    const { mode, uid } = await stat(configFile);
    expect({ mode: mode & 0o777, uid }).toEqual({ mode: 0o600, uid: tested.area.owner.uid });
    expect(await tested.reader.isConfigurationCurrent()).toBe(true);
    await chmod(configFile, 0o644);
    expect(await tested.reader.isConfigurationCurrent()).toBe(false);
    await tested.engine.writeConfiguration();
    expect(await tested.reader.isConfigurationCurrent()).toBe(true);
    await writeFile(configFile, `${await readFile(configFile, 'utf8')}\n# mine\n`);
    expect(await tested.reader.isConfigurationCurrent()).toBe(false);
    await tested.engine.checkArchiving(context);
    expect(await tested.reader.isConfigurationCurrent()).toBe(true);
  });

  it('reads without a file', async () => {
    const { reader } = tested.withSettings({ configFile: '/nowhere/pgbackrest.conf' });
    expect((await reader.readRepository(ONE, { walArchive: true }, context)).backups).toHaveLength(1);
    expect((await errorOf(reader.verifyRepository(ONE, context))).code).toBe('REFUSED_PRECONDITION');
  });

  it('takes the next backup when the one before was killed and its workers still hold the lock', {
    timeout: LOCK_PATIENCE_MS * 2,
  }, async () => {
    const argv = backupArguments(tested.settings, 1, { ...backup, runId: 'killed' });
    const { uid, gid } = tested.area.owner;
    const main = spawn('pgbackrest', argv, { cwd: '/', uid, gid, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    for await (const line of createInterface(main.stderr)) if (line.includes('backup file')) break;
    main.kill('SIGKILL');
    await once(main, 'exit');
    const next = await tested.engine.takeBackup({ ...backup, runId: 'after' }, context);
    const { backups } = await tested.reader.readRepository(ONE, { walArchive: false }, context);
    expect(backups.map((one) => one.annotations['spoke-run'])).toEqual(['run-1', 'after']);
    expect(backups.at(-1)?.label).toBe(next);
  });

  it('counts a backup that is complete, also where expiry failed after it', async () => {
    const { engine } = tested.withSettings({ command: join(EXECUTABLES, 'pgbackrest-whose-expiry-fails') });
    const phases: string[] = [];
    const taken = await engine.takeBackup({ ...backup, runId: 'kept' }, { ...context, onProgress: ({ phase }) => phases.push(phase) });
    const { backups } = await tested.reader.readRepository(ONE, { walArchive: false }, context);
    expect(backups.find((one) => one.label === taken)?.annotations).toEqual({ 'spoke-run': 'kept' });
    expect(phases.at(-1)).toContain('not expired');
  });

  it('names a pgBackRest that is missing or too old', async () => {
    const old = tested.withSettings({ command: join(EXECUTABLES, 'pgbackrest-of-2021') });
    expect((await errorOf(old.reader.readVersion(ONE, context))).code).toBe('TOOL_UNSUPPORTED');
    const missing = tested.withSettings({ command: 'no-such-pgbackrest' });
    expect((await errorOf(missing.reader.readVersion(ONE, context))).code).toBe('TOOL_MISSING');
    expect((await errorOf(missing.reader.readRepository(ONE, { walArchive: false }, context))).code).toBe('TOOL_MISSING');
    expect((await tested.reader.readVersion(ONE, context)).version).toMatch(/^2\.\d+/);
  });

  it('reads a catalogue of which one copy is lost, and calls a repository damaged that lost both', async () => {
    const directory = join(pathOf(tested.settings, ONE), 'backup', tested.settings.stanza);
    await rename(join(directory, 'backup.info'), join(directory, 'aside'));
    expect((await tested.reader.readRepository(ONE, { walArchive: false }, context)).backups.length).toBeGreaterThan(0);
    await rename(join(directory, 'backup.info.copy'), join(directory, 'aside.copy'));
    const error = await errorOf(tested.reader.readRepository(ONE, { walArchive: false }, context));
    expect(error.code).toBe('BACKUP_DAMAGED');
    expect(error.details['labels']).toContain(label);
    await rename(join(directory, 'aside'), join(directory, 'backup.info'));
    await rename(join(directory, 'aside.copy'), join(directory, 'backup.info.copy'));
  });

  it('tells an object store that does not answer', async () => {
    const s3: RepositorySettings = {
      ...{ name: TWO, index: 2, kind: 's3', retentionDays: 7, bucket: 'b', endpoint: '127.0.0.1', port: 1, region: 'r', pathPrefix: '/p' },
      ...{ uriStyle: 'path', verifyTls: true, keyType: 'shared', accessKey: 'key', secretKey: 'canary-secret' },
    };
    const repositories = [...tested.settings.repositories.slice(0, 1), s3];
    const { reader, engine } = tested.withSettings({
      repositories,
      extraOptions: { 'io-timeout': '1' },
      configFile: '/nowhere/pgbackrest.conf',
    });
    for (const walArchive of [false, true])
      expect((await errorOf(reader.readRepository(TWO, { walArchive }, context))).code).toBe('REPOSITORY_UNAVAILABLE');
    expect((await reader.readRepository(ONE, { walArchive: false }, context)).backups.length).toBeGreaterThan(0);
    const previews = [
      ...engine.previewBackup(backup),
      ...engine.previewRestore({ ...(await restoreRequest(tested, label, 'shown')), repository: TWO }),
      ...engine.previewCreateRepositories(),
      ...engine.previewCheckArchiving(),
      { argv: Object.values(engine.archivingSettings()) },
    ];
    expect(JSON.stringify(previews)).not.toContain('canary');
  });

  it('stops recovery, instead of ending it early, where the repository goes away', async () => {
    const request = await restoreRequest(tested, label, 'cut');
    await tested.engine.restoreBackup(request, context);
    const server = await tested.serverOn(request.dataDirectory);
    const bringBack = await tested.takeAway(ONE);
    try {
      await expect(server.start({ archive_mode: 'off' })).rejects.toThrow('could not start');
      expect(await server.serverLog()).toMatch(/FATAL: {2}could not restore file/);
      await expect(stat(join(request.dataDirectory, 'recovery.signal'))).resolves.toBeDefined();
    } finally {
      await bringBack();
    }
    await server.start({ archive_mode: 'off' });
    await until(server, 'select not pg_is_in_recovery()');
    await server.stop();
  });

  withMounts('tells a full disk, of the data directory and of the repository', async () => {
    for (const [name, run] of [
      [
        'full',
        async (path: string) =>
          tested.engine.restoreBackup({ ...(await restoreRequest(tested, label, 'f')), dataDirectory: path }, context),
      ],
      ['full-repository', (path: string) => backupInto(path)],
    ] as const) {
      const path = await tested.directory(name);
      const { uid, gid } = tested.area.owner;
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=12m,mode=0700,uid=${uid},gid=${gid}`, 'tmpfs', path]);
      try {
        expect((await errorOf(run(path))).code).toBe('DISK_FULL');
      } finally {
        execFileSync('umount', [path]);
      }
    }
  });

  /** Into a repository beside, uncompressed: it is larger than the file system. */
  async function backupInto(path: string): Promise<unknown> {
    const repositories = [{ ...(tested.settings.repositories[0] as RepositorySettings), path }] as readonly RepositorySettings[];
    const settings = {
      repositories,
      compressType: 'none',
      configFile: join(path, 'etc', 'pgbackrest.conf'),
      extraOptions: { 'archive-check': 'n' },
    };
    const { engine } = tested.withSettings(settings);
    await engine.createRepositories(context);
    return engine.takeBackup(backup, context);
  }

  asRoot('says which directory keeps PostgreSQL from reading the configuration', async () => {
    const closed = join(tested.area.path, 'closed');
    await mkdir(closed, { mode: 0o700 });
    const { engine } = tested.withSettings({ configFile: join(closed, 'etc', 'pgbackrest.conf') });
    const error = await errorOf(engine.writeConfiguration());
    expect(error.code).toBe('REFUSED_PRECONDITION');
    expect(error.hint).toBe(`chmod o+x ${closed}`);
  });

  it('does not follow a link that lies where the configuration goes', async () => {
    const victim = join(tested.area.path, 'victim');
    await writeFile(victim, 'precious');
    const configFile = join(await tested.directory('linked'), 'pgbackrest.conf');
    execFileSync('ln', ['-s', victim, configFile]);
    await tested.withSettings({ configFile }).engine.writeConfiguration();
    expect(await readFile(victim, 'utf8')).toBe('precious');
    expect((await lstat(configFile)).isFile()).toBe(true);
  });

  it('refuses to set up for another cluster, and to back up a server that is down', async () => {
    const other = await createCluster(tested.area, 'o');
    await other.start();
    const postgres = [{ dataDirectory: other.dataDirectory, port: other.port, socketDirectory: other.socketDirectory }];
    const configFile = join(dirname(tested.settings.configFile), 'other.conf');
    const { engine } = tested.withSettings({ postgres, configFile });
    expect((await errorOf(engine.createRepositories(context))).code).toBe('REFUSED_WRONG_CLUSTER');
    expect((await errorOf(engine.takeBackup(backup, context))).code).toBe('REFUSED_WRONG_CLUSTER');
    await other.stop();
    expect((await errorOf(engine.takeBackup(backup, context))).code).toBe('POSTGRES_UNAVAILABLE');
  });
});

describe.each([1, 64])('WAL segments of %i MB', (megabytes) => {
  it('are counted by their own size', async () => {
    const tested = await createPgbackrest({ walSegmentMegabytes: megabytes });
    try {
      const label = await setUp(tested);
      await tested.primary.sql('create table filler as select generate_series(1, 100000) as id');
      const current = await tested.primary.sql('select pg_walfile_name(pg_current_wal_lsn())');
      await tested.engine.checkArchiving(context);
      const { walArchive } = await tested.reader.readRepository(ONE, { walArchive: true }, context);
      expect(walArchive?.segmentSizeBytes).toBe(megabytes * 1024 * 1024);
      expect(walArchive?.ranges).toHaveLength(1);
      // In the first 4 GiB the number of a segment is what its name ends with.
      expect(walArchive?.ranges[0]?.lastSegment).toBe(BigInt(`0x${current.slice(16)}`));
      expect(label).toMatch(/F$/);
    } finally {
      await tested.dispose();
    }
  });
});

it('works with paths that a shell or a configuration file would misread', async () => {
  const tested = await createPgbackrest({ directoryName: `it's "odd" $HOME \`id\` %f%p \\ ü #;` });
  try {
    const label = await setUp(tested);
    await tested.primary.sql('create table ledger as select 1 as id');
    await tested.engine.checkArchiving(context);
    const workDirectory = await tested.directory(`w' "$x" %p \\`);
    const request = { ...(await restoreRequest(tested, label, 'r %p # é')), workDirectory };
    await tested.engine.restoreBackup(request, context);
    const server = await tested.serverOn(request.dataDirectory);
    await server.start({ archive_mode: 'off' });
    await until(server, 'select not pg_is_in_recovery()');
    expect(await server.sql('select id from ledger')).toBe('1');
    await server.stop();
  } finally {
    await tested.dispose();
  }
});

it('turns the link to pg_wal into a folder, and tells of it beforehand', async () => {
  const tested = await createPgbackrest({ walDirectory: true });
  try {
    const label = await setUp(tested);
    const destination = await readlink(join(tested.primary.dataDirectory, 'pg_wal'));
    const detail = await tested.reader.readBackupDetail(ONE, label, context);
    expect(detail.links).toEqual([{ path: 'pg_wal', destination }]);
    const request = await restoreRequest(tested, label, 'r');
    await tested.engine.restoreBackup(request, context);
    expect((await lstat(join(request.dataDirectory, 'pg_wal'))).isDirectory()).toBe(true);
  } finally {
    await tested.dispose();
  }
});

it('reads an encrypted repository by its passphrase alone', async () => {
  const tested = await createPgbackrest({ cipherPassphrase: 'canary passphrase' });
  try {
    const label = await setUp(tested);
    const repositories = tested.settings.repositories.map((repository) => ({ ...repository, cipherPassphrase: 'another' }));
    const { reader } = tested.withSettings({ repositories });
    const error = await errorOf(reader.readRepository(ONE, { walArchive: true }, context));
    expect(error.code).toBe('REPOSITORY_DENIED');
    expect(error.hint).toContain('encryptionPassphrase');
    const mend = await tested.damage(ONE, label);
    expect((await errorOf(tested.engine.restoreBackup(await restoreRequest(tested, label, 'd'), context))).code).toBe('BACKUP_DAMAGED');
    await mend();
    const request = await restoreRequest(tested, label, 'r');
    await tested.engine.restoreBackup(request, context);
    const server = await tested.serverOn(request.dataDirectory);
    await server.start(tested.engine.archivingSettings());
    await until(server, 'select last_archived_wal is not null and not pg_is_in_recovery() from pg_stat_archiver');
    await server.stop();
    const { walArchive } = await tested.reader.readRepository(ONE, { walArchive: true }, context);
    expect(walArchive?.histories.map(({ timeline }) => timeline)).toEqual([2]);
    const everything = [
      JSON.stringify(tested.engine.previewRestore(request)),
      await readFile(join(request.dataDirectory, 'postgresql.auto.conf'), 'utf8'),
    ];
    expect(everything.join('\n')).not.toContain('canary');
    await rm(request.dataDirectory, { recursive: true });
  } finally {
    await tested.dispose();
  }
});
