import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BackupLabel, RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { parseBackupRecord } from '../../../src/domain/native/record-text.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { BlobStore } from '../../../src/ports/blob-store.ts';
import type { OperationContext } from '../../../src/ports/operation.ts';
import { createCluster } from '../../harness/postgres.ts';
import { withMounts } from '../privileges.ts';
import { errorOf, until } from './backup-engine.contract.ts';
import { createNative, flipByte, type NativeUnderTest } from './native-fixture.ts';

const [ONE, TWO] = ['one', 'two'] as unknown as readonly [RepositoryName, RepositoryName];
const context: OperationContext = { signal: new AbortController().signal };

/** Stores whose next archive waits, once it has begun, until it is let go. */
interface Holding {
  wrap(store: BlobStore, repository: RepositoryName): BlobStore;
  /** Resolves with what lets go, once bytes of an archive have come. */
  hold(): { readonly begun: Promise<void>; letGo(): void };
  /** Every archive fails in this repository, after its first bytes. */
  fail(repository: RepositoryName | undefined): void;
}

function createHolding(): Holding {
  let held: { begun: PromiseWithResolvers<void>; released: PromiseWithResolvers<void> } | undefined;
  let failing: RepositoryName | undefined;
  return {
    fail: (repository) => void (failing = repository),
    hold() {
      const hold = { begun: Promise.withResolvers<void>(), released: Promise.withResolvers<void>() };
      held = hold;
      return {
        begun: hold.begun.promise,
        letGo() {
          held = undefined;
          hold.released.resolve();
        },
      };
    },
    wrap: (store, repository) => ({
      ...store,
      writeStream(key, source, signal) {
        const isArchive = key.includes('.tar.');
        async function* slowed(): AsyncGenerator<Uint8Array> {
          let isFirst = true;
          for await (const chunk of source) {
            yield chunk;
            if (!isArchive || !isFirst) continue;
            isFirst = false;
            if (failing === repository) throw new SpokeError('REPOSITORY_UNAVAILABLE', `${repository} has gone`);
            held?.begun.resolve();
            await held?.released.promise;
          }
        }
        return store.writeStream(key, slowed(), signal);
      },
    }),
  };
}

const labelsIn = async (tested: NativeUnderTest, repository: RepositoryName) =>
  (await tested.reader.readRepository(repository, { walArchive: false }, context)).backups.map(({ label }) => label);

const foldersIn = (tested: NativeUnderTest, repository: RepositoryName) => {
  const path = join(tested.rootOf(repository), 'backups');
  return existsSync(path) ? readdirSync(path).filter((name) => readdirSync(join(path, name)).length > 0) : [];
};

describe('a native backup that something happens to', () => {
  const holding = createHolding();
  let tested: NativeUnderTest;
  let runs = 0;
  const request = () => ({ repository: ONE, type: 'full', runId: `run-${(runs += 1)}` }) as const;

  beforeAll(async () => {
    tested = await createNative({ wrapStore: holding.wrap });
    await tested.engine.createRepositories(context);
    await tested.primary.sql('create table filler as select i, md5(i::text) from generate_series(1, 200000) as i');
  });
  afterAll(() => tested.dispose());

  it('gets into the other repository where one fails, and later, by the same run, into that one too', async () => {
    const both = { ...request(), alsoInto: [TWO] };
    holding.fail(TWO);
    const error = await errorOf(tested.engine.takeBackup(both, context));
    expect(error.code).toBe('REPOSITORY_UNAVAILABLE');
    expect(error.message).toMatch(/is in one, but not in two \(two: two has gone\)/);
    const [label = ''] = await labelsIn(tested, ONE);
    expect(error.details).toMatchObject({ label, repositories: [ONE], failedRepositories: [TWO] });
    expect(foldersIn(tested, TWO)).toEqual([]);
    holding.fail(undefined);
    expect(await tested.engine.takeBackup(both, context)).toBe(label);
    expect(await tested.engine.takeBackup(both, context)).toBe(label);
    for (const name of await readdir(join(tested.rootOf(ONE), 'backups', label))) {
      const [ours, theirs] = [ONE, TWO].map((one) => readFileSync(join(tested.rootOf(one), 'backups', label, name)));
      expect(ours?.equals(theirs ?? Buffer.alloc(0)), name).toBe(true);
    }
    for (const repository of [ONE, TWO]) expect(await tested.reader.verifyRepository(repository, context)).toMatchObject({ ok: true });
  });

  it('takes one into two repositories in one pass, with one label', async () => {
    const label = await tested.engine.takeBackup({ ...request(), alsoInto: [TWO] }, context);
    expect((await labelsIn(tested, ONE)).at(-1)).toBe(label);
    expect((await labelsIn(tested, TWO)).at(-1)).toBe(label);
  });

  it('is none where every repository fails, and pg_basebackup ends', async () => {
    const before = await labelsIn(tested, ONE);
    holding.fail(ONE);
    expect((await errorOf(tested.engine.takeBackup(request(), context))).code).toBe('REPOSITORY_UNAVAILABLE');
    holding.fail(undefined);
    expect(foldersIn(tested, ONE)).toEqual(before);
    await until(tested.primary, 'select count(*) = 0 from pg_stat_progress_basebackup');
    expect(existsSync(join(tested.settings.directory, 'backup'))).toBe(false);
  });

  it('is none where the server crashes meanwhile, and the next one succeeds', async () => {
    const before = await labelsIn(tested, ONE);
    const { begun, letGo } = holding.hold();
    const taking = errorOf(tested.engine.takeBackup(request(), context));
    await begun;
    await tested.primary.stop('immediate');
    letGo();
    const error = await taking;
    expect(error.code, error.message).toBe('POSTGRES_UNAVAILABLE');
    expect(foldersIn(tested, ONE)).toEqual(before);
    await tested.primary.start(tested.engine.archivingSettings());
    await tested.engine.takeBackup(request(), context);
    expect(await labelsIn(tested, ONE)).toHaveLength(before.length + 1);
  });

  it('waits for another one of the same cluster, and has a label of its own', async () => {
    const { begun, letGo } = holding.hold();
    const first = tested.engine.takeBackup(request(), context);
    await begun;
    const waiting = Promise.withResolvers<void>();
    const other = tested.withSettings({});
    const onProgress = ({ phase }: { phase: string }) => phase.startsWith('waiting for another backup') && waiting.resolve();
    const second = other.engine.takeBackup(request(), { ...context, onProgress });
    await waiting.promise;
    letGo();
    const labels = await Promise.all([first, second]);
    expect(new Set(labels).size).toBe(2);
    expect((await labelsIn(tested, ONE)).slice(-2)).toEqual(labels);
  });

  it('removes what a killed one has left, and nobody ever saw that', async () => {
    const before = await labelsIn(tested, ONE);
    const half = join(tested.rootOf(ONE), 'backups', '20991231-235959F');
    await mkdir(half);
    await writeFile(join(half, 'base.tar.zst'), 'half');
    await mkdir(join(tested.settings.directory, 'backup'));
    await writeFile(join(tested.settings.directory, 'backup', 'pgpass'), 'old');
    expect(await labelsIn(tested, ONE)).toEqual(before);
    const label = await tested.engine.takeBackup(request(), context);
    expect(existsSync(half)).toBe(false);
    expect(label < '2099').toBe(true);
    expect(existsSync(join(tested.settings.directory, 'backup'))).toBe(false);
  });

  it('has a later label than every other, also where the clock of a server was ahead', async () => {
    const [newest = ''] = (await labelsIn(tested, ONE)).slice(-1);
    const folder = join(tested.rootOf(ONE), 'backups');
    const ahead = '20990101-000000F' as BackupLabel;
    execFileSync('cp', ['-a', join(folder, newest), join(folder, ahead)]);
    const label = await tested.engine.takeBackup(request(), context);
    expect(label).toBe('20990101-000001F');
    await rm(join(folder, ahead), { recursive: true });
    await rm(join(folder, label), { recursive: true });
  });

  withMounts('says which disk is full, and keeps the backups that are there', async () => {
    const path = await tested.directory('full');
    const { uid, gid } = tested.area.owner;
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=6m,mode=0700,uid=${uid},gid=${gid}`, 'tmpfs', path]);
    try {
      const small = tested.repositoryAt('small', join(path, 'repository'));
      const { engine, reader } = tested.withSettings({ repositories: [...tested.settings.repositories, small] });
      await engine.createRepositories(context);
      // The archive goes where it went before: what fills this disk shall be the backup.
      await tested.engine.writeConfiguration();
      const error = await errorOf(engine.takeBackup({ ...request(), alsoInto: [small.name] }, context));
      expect(error.code).toBe('DISK_FULL');
      expect(error.message).toContain('but not in small');
      expect(error.message).toContain(path);
      expect((await reader.readRepository(small.name, { walArchive: false }, context)).backups).toEqual([]);
      expect(
        readdirSync(join(path, 'repository'))
          .sort()
          .filter((name) => name !== 'wal' && name !== 'backups'),
      ).toEqual(['cluster.json']);
    } finally {
      execFileSync('umount', [path]);
    }
  });

  it('hands the password to pg_basebackup in a file that only its user can read', async () => {
    await tested.primary.sql("create role streamer login replication password 'can:ary\\'");
    await tested.primary.sql('grant pg_monitor to streamer');
    const hba = join(tested.primary.dataDirectory, 'pg_hba.conf');
    const trusted = await readFile(hba, 'utf8');
    await writeFile(hba, `local all streamer scram-sha-256\nlocal replication streamer scram-sha-256\n${trusted}`);
    await tested.primary.sql('select pg_reload_conf()');
    const { socketDirectory, port } = tested.primary;
    const address = async () => ({ kind: 'url', url: urlOf(socketDirectory, port) }) as const;
    const { engine } = tested.withSettings({ nodes: [{ name: 'primary', address }] });
    const { begun, letGo } = holding.hold();
    const taking = engine.takeBackup(request(), context);
    await begun;
    const seen = everythingOfProcesses('pg_basebackup');
    const mode = (await stat(join(tested.settings.directory, 'backup', 'pgpass'))).mode & 0o777;
    letGo();
    await taking;
    expect(seen).toContain('spoke-backup');
    expect(seen).not.toMatch(/can:ary|can%3Aary/);
    expect(mode).toBe(0o600);
    await writeFile(hba, trusted);
    await tested.primary.sql('select pg_reload_conf()');
  });

  it('says what the role lacks where it may not stream', async () => {
    await tested.primary.sql('create role reader login in role pg_monitor');
    const { socketDirectory, port } = tested.primary;
    const address = async () => ({ kind: 'socket', socketDirectory, port, user: 'reader' }) as const;
    const { engine } = tested.withSettings({ nodes: [{ name: 'primary', address }] });
    const error = await errorOf(engine.takeBackup(request(), context));
    expect(error.code, error.message).toBe('REFUSED_PRECONDITION');
    expect(error.hint).toContain('REPLICATION');
  });

  it('is kept and flagged where the server finds damaged pages', async () => {
    await tested.primary.sql('create table damaged as select generate_series(1, 5000) as i');
    await tested.primary.sql('checkpoint');
    const path = join(tested.primary.dataDirectory, await tested.primary.sql("select pg_relation_filepath('damaged')"));
    const mend = await flipByte(path, 8192 + 4000);
    const label = await tested.engine.takeBackup(request(), context);
    const { backups } = await tested.reader.readRepository(ONE, { walArchive: false }, context);
    expect(backups.at(-1)).toMatchObject({ label, hasPageErrors: true });
    expect(backups.at(-2)?.hasPageErrors).toBe(false);
    expect((await tested.reader.verifyRepository(ONE, context)).ok).toBe(true);
    await mend();
  });

  it('is refused into the repository of another cluster', async () => {
    const other = await createCluster(tested.area, 'other');
    await other.start();
    const { socketDirectory, port } = other;
    const address = async () => ({ kind: 'socket', socketDirectory, port, user: 'postgres' }) as const;
    const { engine } = tested.withSettings({ nodes: [{ name: 'other', address }] });
    const before = await labelsIn(tested, ONE);
    expect((await errorOf(engine.createRepositories(context))).code).toBe('REFUSED_WRONG_CLUSTER');
    expect((await errorOf(engine.takeBackup(request(), context))).code).toBe('REFUSED_WRONG_CLUSTER');
    await other.stop();
    expect((await errorOf(engine.takeBackup(request(), context))).code).toBe('POSTGRES_UNAVAILABLE');
    expect(await labelsIn(tested, ONE)).toEqual(before);
  });
});

function urlOf(socketDirectory: string, port: number): string {
  const url = new URL('postgresql:///postgres');
  const parameters = { host: socketDirectory, port: String(port), user: 'streamer', password: 'can:ary\\' };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

/** Arguments and environments of all processes of a program. */
function everythingOfProcesses(program: string): string {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids
    .map((pid) => {
      try {
        const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        return commandLine.includes(program) ? `${commandLine}\0${readFileSync(`/proc/${pid}/environ`, 'utf8')}` : '';
      } catch {
        return '';
      }
    })
    .join('');
}

describe('a native repository in which a byte is another', () => {
  let tested: NativeUnderTest;
  let label: BackupLabel;

  beforeAll(async () => {
    tested = await createNative({ repositories: 1 });
    await tested.engine.createRepositories(context);
    label = await tested.engine.takeBackup({ repository: ONE, type: 'full', runId: 'run-1' }, context);
    await tested.engine.annotateBackup({ repository: ONE, label, key: 'spoke-pin', value: 'forever audit' }, context);
  });
  afterAll(() => tested.dispose());

  const verify = () => tested.reader.verifyRepository(ONE, context);
  const files = async () => {
    const root = tested.rootOf(ONE);
    const names = await readdir(root, { recursive: true, withFileTypes: true });
    return names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  };

  it('is found to be sound before', async () => {
    expect(await verify()).toEqual({ ok: true, faults: [], damagedBackups: [] });
  });

  it('is found wherever that byte is', async () => {
    for (const path of await files()) {
      const { size } = await stat(path);
      for (const offset of new Set([0, Math.floor(size / 3), size - 1])) {
        const mend = await flipByte(path, offset);
        const report = await verify().catch((thrown: unknown) => thrown);
        await mend();
        const isFound = report instanceof SpokeError ? ['REPOSITORY_UNAVAILABLE', 'TOOL_UNSUPPORTED'].includes(report.code) : !isOk(report);
        expect(isFound, `byte ${offset} of ${path}: ${JSON.stringify(report)}`).toBe(true);
      }
    }
    expect((await verify()).ok).toBe(true);
  });

  it('does not lose the backups that are whole for one whose record is damaged', async () => {
    const second = await tested.engine.takeBackup({ repository: ONE, type: 'full', runId: 'run-2' }, context);
    const mend = await flipByte(join(tested.rootOf(ONE), 'backups', label, 'backup.json'));
    // As another process reads it: a backup that was read once is known.
    const { reader, engine } = tested.withSettings({});
    const labels = async () => (await reader.readRepository(ONE, { walArchive: false }, context)).backups.map((backup) => backup.label);
    const damaged = await labels();
    const report = await reader.verifyRepository(ONE, context);
    // What it needs cannot be told: no WAL goes.
    const refusal = await errorOf(engine.expireWal({ repository: ONE, floor: second }, context));
    await mend();
    expect(damaged).toEqual([second]);
    expect(report.damagedBackups).toEqual([label]);
    expect(refusal.code).toBe('BACKUP_DAMAGED');
    expect(await labels()).toEqual([label, second]);
  });

  it('finds WAL that a backup needs and that is not there', async () => {
    const record = parseBackupRecord(await readFile(join(tested.rootOf(ONE), 'backups', label, 'backup.json'), 'utf8'), label);
    const folder = join(tested.rootOf(ONE), 'wal', '0000000100000000');
    const name = `${`0000000100000000${(record.startLsn / 16_777_216n).toString(16).toUpperCase().padStart(8, '0')}`}.zst`;
    const content = await readFile(join(folder, name));
    await rm(join(folder, name));
    const report = await verify();
    await writeFile(join(folder, name), content);
    expect(report.damagedBackups).toEqual([label]);
    expect(report.faults.join('\n')).toContain(name.replace('.zst', ''));
  });

  it('refuses a layout that a newer version has written', async () => {
    const path = join(tested.rootOf(ONE), 'cluster.json');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"layoutVersion": 1', '"layoutVersion": 2'));
    expect((await errorOf(tested.reader.readRepository(ONE, { walArchive: false }, context))).code).toBe('TOOL_UNSUPPORTED');
    expect((await errorOf(tested.engine.takeBackup({ repository: ONE, type: 'full', runId: 'run-9' }, context))).code).toBe(
      'TOOL_UNSUPPORTED',
    );
    await writeFile(path, text);
  });
});

function isOk(report: unknown): boolean {
  return typeof report === 'object' && report !== null && Reflect.get(report, 'ok') === true;
}

describe('native backups with lz4 and age', () => {
  it('are verified with their SHA256SUMS by anybody, and hold nothing that can be read without the key', async () => {
    const area = await createNative({ repositories: 1, settings: { compressType: 'lz4' } });
    try {
      await area.engine.createRepositories(context);
      const label = await area.engine.takeBackup({ repository: ONE, type: 'full', runId: 'run-1' }, context);
      const folder = join(area.rootOf(ONE), 'backups', label);
      expect((await readdir(folder)).sort()).toEqual(['SHA256SUMS', 'backup.json', 'backup_manifest', 'base.tar.lz4']);
      expect(execFileSync('sh', ['-c', 'lz4 -dc base.tar.lz4 | tar -t | head -1'], { cwd: folder, encoding: 'utf8' })).toBe(
        'backup_label\n',
      );
      expect(await area.reader.verifyRepository(ONE, context)).toMatchObject({ ok: true });
    } finally {
      await area.dispose();
    }
  });
});
