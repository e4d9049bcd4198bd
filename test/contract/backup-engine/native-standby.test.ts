import { execFileSync } from 'node:child_process';
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { parseBackupRecord } from '../../../src/domain/native/record-text.ts';
import type { RestoreRequest } from '../../../src/ports/backup-engine.ts';
import type { OperationContext } from '../../../src/ports/operation.ts';
import type { TestServer } from '../../harness/postgres.ts';
import { errorOf, until } from './backup-engine.contract.ts';
import { createNative, type NativeUnderTest, standbyOf } from './native-fixture.ts';

const ONE = 'one' as RepositoryName;
const context: OperationContext = { signal: new AbortController().signal };

/** Runs an action as soon as a copy has begun. */
function onceCopying(action: () => void): OperationContext {
  let isDone = false;
  const onProgress = ({ phase }: { phase: string }) => {
    if (phase !== 'copy' || isDone) return;
    isDone = true;
    action();
  };
  return { signal: context.signal, onProgress };
}

describe('native backups of a cluster with a standby', () => {
  let tested: NativeUnderTest;
  let standby: TestServer;
  let runs = 0;
  const request = () => ({ repository: ONE, type: 'full', runId: `run-${(runs += 1)}` }) as const;

  beforeAll(async () => {
    tested = await createNative({ repositories: 1 });
    await tested.engine.createRepositories(context);
    await tested.primary.sql('create table ledger as select i, md5(i::text) from generate_series(1, 100000) as i');
    standby = await standbyOf(tested, 'standby');
    await standby.start({ hot_standby: 'on' });
    await until(tested.primary, "select count(*) = 1 from pg_stat_replication where state = 'streaming'");
  });
  afterAll(() => tested.dispose());

  const engineFrom = (backupFrom: 'primary' | 'standby', maxRateKib?: number) =>
    tested.withSettings({
      backupFrom,
      ...(maxRateKib === undefined ? {} : { maxRateKib }),
      nodes: [tested.primary, standby].map(({ socketDirectory, port }, index) => ({
        name: ['primary', 'standby'][index] ?? '',
        address: async () => ({ kind: 'socket', socketDirectory, port, user: 'postgres' }),
      })),
    }).engine;

  const recordOf = async (label: string) =>
    parseBackupRecord(await readFile(join(tested.rootOf(ONE), 'backups', label, 'backup.json'), 'utf8'), label as never);

  it('are taken from the standby that has caught up, and are consistent by the WAL of the primary', async () => {
    const label = await engineFrom('standby').takeBackup(request(), context);
    expect((await recordOf(label)).source).toEqual({ node: 'standby', inRecovery: true });
    expect(await tested.reader.verifyRepository(ONE, context)).toEqual({ ok: true, faults: [], damagedBackups: [] });
    const restore: RestoreRequest = {
      ...{ repository: ONE, label, dataDirectory: await tested.directory('r'), workDirectory: await tested.directory('w') },
      ...{ target: { kind: 'latest' }, timeline: 'latest', targetAction: 'promote', tablespaceMap: [], resume: false },
    };
    await tested.engine.restoreBackup(restore, context);
    const server = await tested.serverOn(restore.dataDirectory);
    await server.start({ archive_mode: 'off' });
    await until(server, 'select not pg_is_in_recovery()');
    expect(await server.sql('select count(*) from ledger')).toBe('100000');
    await server.stop();
  });

  it('are taken from the primary where the replay of the standby is paused, and say so', async () => {
    await standby.sql('select pg_wal_replay_pause()');
    await until(standby, "select pg_get_wal_replay_pause_state() = 'paused'");
    const phases: string[] = [];
    const label = await engineFrom('standby').takeBackup(request(), { ...context, onProgress: ({ phase }) => phases.push(phase) });
    await standby.sql('select pg_wal_replay_resume()');
    expect((await recordOf(label)).source).toEqual({ node: 'primary', inRecovery: false });
    expect(phases).toContain('from the primary primary, since the replay of standby is paused');
  });

  it('are none where the standby is promoted meanwhile', async () => {
    const before = await readdir(join(tested.rootOf(ONE), 'backups'));
    const promoting = Promise.withResolvers<unknown>();
    // At this rate it takes two seconds.
    const taking = engineFrom('standby', 2 * 1024).takeBackup(
      request(),
      onceCopying(() => promoting.resolve(standby.sql('select pg_promote()'))),
    );
    const error = await errorOf(taking);
    expect(await promoting.promise).toBe('t');
    expect(error.message).toMatch(/promoted|timeline/);
    expect(await readdir(join(tested.rootOf(ONE), 'backups'))).toEqual(before);
  });

  it('are refused where two servers accept writes', async () => {
    const error = await errorOf(engineFrom('standby').takeBackup(request(), context));
    expect(error.code).toBe('REFUSED_PRECONDITION');
    expect(error.message).toContain('primary and standby both accept writes');
  });
});

describe('native backups with age', () => {
  it('hold nothing that can be read without the key, and are verified with it', async () => {
    const keys = execFileSync('age-keygen', [], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const recipients = [/public key: (\S+)/.exec(keys)?.[1] ?? ''];
    const tested = await createNative({ repositories: 1, settings: { encryption: { recipients } } });
    try {
      await tested.engine.createRepositories(context);
      await tested.primary.sql("create table secrets as select 'canary phrase' as text");
      const label = await tested.engine.takeBackup({ repository: ONE, type: 'full', runId: 'run-1' }, context);
      const folder = join(tested.rootOf(ONE), 'backups', label);
      expect((await readdir(folder)).sort()).toEqual(['SHA256SUMS', 'backup.json', 'backup_manifest.age', 'base.tar.zst.age']);
      expect(execFileSync('sh', ['-c', 'sha256sum -c SHA256SUMS'], { cwd: folder, encoding: 'utf8' })).toContain('base.tar.zst.age: OK');
      expect((await errorOf(tested.reader.verifyRepository(ONE, context))).code).toBe('SECRET_UNAVAILABLE');
      const identityFile = join(await tested.directory('keys'), 'key.txt');
      await writeFile(identityFile, keys);
      await chmod(identityFile, 0o600);
      const { reader } = tested.withSettings({ encryption: { recipients, identityFile } });
      expect(await reader.verifyRepository(ONE, context)).toEqual({ ok: true, faults: [], damagedBackups: [] });
      const plain = execFileSync('sh', ['-c', `age -d -i ${identityFile} base.tar.zst.age | zstd -dc | grep -c 'canary phrase'`], {
        cwd: folder,
        encoding: 'utf8',
      });
      expect(Number(plain)).toBeGreaterThan(0);
      expect((await stat(join(folder, 'base.tar.zst.age'))).size).toBeGreaterThan(1_000_000);
    } finally {
      await tested.dispose();
    }
  });
});
