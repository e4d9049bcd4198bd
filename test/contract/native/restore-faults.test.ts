import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BackupLabel } from '../../../src/domain/catalog/base-backup.ts';
import { judgeRecovery } from '../../../src/domain/recovery/judge-recovery.ts';
import { readRecoveryLog } from '../../../src/domain/recovery/server-log.ts';
import type { RestoreRequest } from '../../../src/ports/backup-engine.ts';
import type { OperationContext } from '../../../src/ports/operation.ts';
import type { TestServer } from '../../harness/postgres.ts';
import { errorOf } from '../backup-engine/backup-engine.contract.ts';
import { createNative, flipByte, type NativeUnderTest } from '../backup-engine/native-fixture.ts';
import type { RestorerTask } from './restorer.ts';

const context: OperationContext = { signal: new AbortController().signal };
const ROWS = 'select string_agg(id::text, $$,$$ order by id) from ledger';
const canMount = process.getuid?.() === 0 && process.platform === 'linux';

describe('faults of restores from a native repository', () => {
  let tested: NativeUnderTest;
  let label: BackupLabel;
  let oid: number;
  /** The segments with the rows behind the backup, and the last one. */
  const segments: string[] = [];

  beforeAll(async () => {
    tested = await createNative({ repositories: 1 });
    await tested.engine.createRepositories(context);
    const { primary } = tested;
    await primary.sql(`create tablespace side location '${await tested.directory('place')}'`);
    await primary.sql('create table ledger (id int) tablespace side');
    await primary.sql('insert into ledger values (1)');
    oid = Number(await primary.sql("select oid from pg_tablespace where spcname = 'side'"));
    label = await tested.engine.takeBackup({ repository: tested.repositories[0], type: 'full', runId: 'run' }, context);
    for (const id of [2, 3, 4]) {
      await primary.sql(`insert into ledger values (${id})`);
      segments.push(await primary.sql('select pg_walfile_name(pg_current_wal_lsn())'));
      await primary.sql('select pg_switch_wal()');
    }
    await tested.engine.checkArchiving(context);
    await primary.stop();
  });
  afterAll(() => tested.dispose());

  let requests = 0;
  async function newRequest(more: Partial<RestoreRequest> = {}): Promise<RestoreRequest> {
    requests += 1;
    return {
      ...{
        repository: tested.repositories[0],
        label,
        target: { kind: 'latest' },
        timeline: 'latest',
        targetAction: 'pause',
        resume: false,
      },
      ...{ dataDirectory: await tested.directory(`r${requests}`), workDirectory: await tested.directory(`w${requests}`) },
      tablespaceMap: [{ oid, location: await tested.directory(`t${requests}`) }],
      ...more,
    };
  }

  const inBackup = (name: string) => join(tested.rootOf(tested.repositories[0]), 'backups', label, name);
  const inWal = (segment: string) => join(tested.rootOf(tested.repositories[0]), 'wal', segment.slice(0, 16), `${segment}.zst`);
  const couldStart = ({ dataDirectory }: RestoreRequest) => existsSync(join(dataDirectory, 'global/pg_control'));

  async function rowsOf({ dataDirectory }: RestoreRequest, settings: Readonly<Record<string, string>> = {}): Promise<string> {
    const server = await tested.serverOn(dataDirectory);
    await server.start({ archive_mode: 'off', hot_standby: 'on', ...settings });
    await expect.poll(() => server.sql('select pg_is_in_recovery()'), { timeout: 60_000 }).toBe('f');
    const rows = await server.sql(ROWS);
    await server.stop();
    return rows;
  }

  it.each(['base.tar.zst', 'backup_manifest', 'tablespace'])(
    'names the damaged object and leaves nothing that could start: %s',
    async (what) => {
      const name = what === 'tablespace' ? `${oid}.tar.zst` : what;
      const mend = await flipByte(inBackup(name));
      const request = await newRequest();
      const error = await errorOf(tested.engine.restoreBackup(request, context));
      expect(error).toMatchObject({ code: 'BACKUP_DAMAGED', message: expect.stringContaining(`backups/${label}/${name}`) });
      expect(couldStart(request)).toBe(false);
      await mend();
      await tested.engine.restoreBackup({ ...request, resume: true }, context);
      expect(await rowsOf(request)).toBe('1,2,3,4');
    },
  );

  it('names an object that is missing', async () => {
    const name = inBackup(`${oid}.tar.zst`);
    execFileSync('mv', [name, `${name}.aside`]);
    const request = await newRequest();
    const error = await errorOf(tested.engine.restoreBackup(request, context));
    execFileSync('mv', [`${name}.aside`, name]);
    expect(error).toMatchObject({ code: 'BACKUP_DAMAGED', message: expect.stringMatching(/\d+\.tar\.zst .*missing/) });
    expect(couldStart(request)).toBe(false);
  });

  it.each([
    { phase: 'copy', percent: 0 },
    { phase: 'copy', percent: 100 },
    { phase: 'verify', percent: 0 },
    { phase: 'sync', percent: 0 },
  ])('leaves nothing that could start when it is killed at $phase $percent, and begins anew where it was', async (dieAt) => {
    const request = await newRequest();
    const { repositories, nodes: _nodes, binDirectoryOf, ...settings } = tested.settings;
    const task: RestorerTask = {
      ...{ settings, request, dieAt, binDirectory: await binDirectoryOf(0) },
      repositories: repositories.map(({ open: _open, access: _access, directory = '', ...rest }) => ({ ...rest, directory })),
    };
    const { signal, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'restorer.ts'), JSON.stringify(task)], {
      encoding: 'utf8',
    });
    expect({ signal, stderr }).toEqual({ signal: 'SIGKILL', stderr: '' });
    expect(couldStart(request)).toBe(false);
    await tested.engine.restoreBackup({ ...request, resume: true }, context);
    expect(await rowsOf(request)).toBe('1,2,3,4');
  });

  it('writes over nothing that is not of the same restore', async () => {
    const request = await newRequest();
    const location = request.tablespaceMap[0]?.location ?? '';
    execFileSync('touch', [join(location, 'precious')]);
    for (const resume of [false, true])
      expect((await errorOf(tested.engine.restoreBackup({ ...request, resume }, context))).code).toBe('REFUSED_TABLESPACE');
    expect(readdirSync(location)).toEqual(['precious']);
    const unmapped = await errorOf(tested.engine.restoreBackup({ ...request, tablespaceMap: [] }, context));
    expect(unmapped.code).toBe('REFUSED_TABLESPACE');
    expect(readdirSync(request.dataDirectory)).toEqual([]);
  });

  it.runIf(canMount)('tells a full disk by its name, and goes on once there is room', async () => {
    for (const where of ['data', 'tablespace']) {
      const request = await newRequest();
      const path = where === 'data' ? request.dataDirectory : (request.tablespaceMap[0]?.location ?? '');
      const { uid, gid } = tested.area.owner;
      execFileSync('mount', [
        '-t',
        'tmpfs',
        '-o',
        `size=${where === 'data' ? '12m' : '4k'},mode=0700,uid=${uid},gid=${gid}`,
        'tmpfs',
        path,
      ]);
      try {
        expect((await errorOf(tested.engine.restoreBackup(request, context))).code).toBe('DISK_FULL');
        expect(couldStart(request)).toBe(false);
        execFileSync('mount', ['-o', 'remount,size=1g', path]);
        await tested.engine.restoreBackup({ ...request, resume: true }, context);
        expect(await rowsOf(request)).toBe('1,2,3,4');
      } finally {
        execFileSync('umount', [path]);
      }
    }
  });

  /** What a server says that cannot replay to a position behind all WAL that there is, with and without WAL that is fetched ahead. */
  async function verdictsOn(fault: () => Promise<() => unknown> | (() => unknown)): Promise<readonly unknown[]> {
    const verdicts: unknown[] = [];
    for (const isAhead of [true, false]) {
      const target = { kind: 'xid', xid: 1_000_000n, inclusive: true } as const;
      const request = await newRequest({ target });
      await tested.engine.restoreBackup(request, context);
      const mend = await fault();
      const server = await tested.serverOn(request.dataDirectory);
      if (isAhead) await tested.engine.beginReplay(request, context);
      await server.start({ archive_mode: 'off', ...(isAhead ? tested.engine.replaySettings(request) : {}) }).catch(() => undefined);
      verdicts.push(judgeRecovery(target, { log: readRecoveryLog(await logOfDead(server)) }));
      await tested.engine.endReplay(request, context);
      await mend();
    }
    return verdicts;
  }

  async function logOfDead(server: TestServer): Promise<string> {
    await expect.poll(() => server.serverLog(), { timeout: 60_000 }).toContain('database system is shut down');
    return server.serverLog();
  }

  it('tells the end of the archive from WAL that is damaged, unreachable or encrypted for somebody else', async () => {
    const second = inWal(segments[1] ?? '');
    const missing = await verdictsOn(() => {
      execFileSync('mv', [second, `${second}.aside`]);
      return () => execFileSync('mv', [`${second}.aside`, second]);
    });
    for (const verdict of missing) expect(verdict).toMatchObject({ code: 'TARGET_NOT_FOUND' });

    const damaged = await verdictsOn(() => flipByte(second));
    for (const verdict of damaged)
      expect(verdict).toMatchObject({ code: 'BACKUP_DAMAGED', message: expect.stringContaining(segments[1] ?? 'a segment') });

    const root = tested.rootOf(tested.repositories[0]);
    const unreachable = await verdictsOn(() => {
      execFileSync('mv', [root, `${root}.aside`]);
      execFileSync('touch', [root]);
      return () => {
        rmSync(root);
        execFileSync('mv', [`${root}.aside`, root]);
      };
    });
    for (const verdict of unreachable) expect(verdict).toMatchObject({ code: 'REPOSITORY_UNAVAILABLE' });
  }, 300_000);

  it('lets a server go on whose WAL nobody fetches ahead any more', async () => {
    const request = await newRequest();
    await tested.engine.restoreBackup(request, context);
    await tested.engine.beginReplay(request, context);
    // As a process leaves it that was killed: nobody answers, and its number is somebody else's.
    const settings = tested.engine.replaySettings(request);
    await tested.engine.endReplay(request, context);
    execFileSync('mkdir', ['-p', join(request.workDirectory, 'replay/wanted')]);
    execFileSync('sh', ['-c', `echo "${process.pid} 1" > ${request.workDirectory}/replay/fetcher`]);
    chmodSync(join(request.workDirectory, 'replay'), 0o755);
    expect(await rowsOf(request, settings)).toBe('1,2,3,4');
  });
});
