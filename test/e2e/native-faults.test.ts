import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { chown, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RestoreResult } from '../../src/cli/render/restore.ts';
import { spoke, spokeError, spokeJson } from '../harness/cli.ts';
import { type Backup, querySocket, useLab } from '../harness/lab.ts';
import { configurationWith, reconfigure } from './support/config.ts';
import { identityOf, restoreAreasBeside, Rows, rowsOf, serverTime, untilBackupsArePast } from './support/data.ts';
import { JournalWatch, runsIn } from './support/journal.ts';
import { interruptAt } from './support/kill.ts';
import { expectNothingElseRuns, strangers } from './support/processes.ts';
import { S3Proxy } from './support/s3-proxy.ts';
import { noTmpfs, Tmpfs } from './support/tmpfs.ts';
import { errorOf, RunningTool, runTool } from './support/tool.ts';

const CANARY = 'CANARY-7d20aa';
const BACKUP = ['backup', '--type', 'full', '--json'];

type Annotated = Backup & { readonly annotations: Readonly<Record<string, string>> };

describe('the native engine, with a repository on disk and one in a bucket,', () => {
  const lab = useLab({ engine: 'native' });
  let rows: Rows;
  let kept: readonly number[];
  let target: string;
  let label: string;
  /** Between the backup and the target. */
  let segment: string;

  beforeAll(async () => {
    rows = await Rows.begin(lab());
    const [first] = await lab().backup('full');
    label = first?.label ?? '';
    await untilBackupsArePast(lab());
    await rows.commit();
    const [row] = await querySocket<{ name: string }>(lab().primary, 'SELECT pg_walfile_name(pg_current_wal_lsn()) AS name');
    segment = row?.name ?? '';
    await querySocket(lab().primary, 'SELECT pg_switch_wal()');
    await rows.commit();
    kept = await rows.now();
    target = await serverTime(lab().primary);
    await rows.commit();
  }, 120_000);

  const into = (name: string) => ['--data-directory', join(lab().directory, name)];
  const config = () => lab().description.config;

  async function backupsOf(run: string): Promise<readonly string[]> {
    const { backups } = await lab().json<{ backups: readonly Annotated[] }>('backups');
    return backups.filter((backup) => backup.annotations['spoke-run'] === run).map(({ repository }) => repository);
  }

  async function expectNothingLeft(): Promise<void> {
    expect(restoreAreasBeside(join(lab().directory, 'x'))).toEqual([]);
    await expectNothingElseRuns(lab());
  }

  async function expectRestored(result: RestoreResult, repository: string): Promise<void> {
    expect(result.backup.repository).toBe(repository);
    expect(await rowsOf(result)).toEqual(kept);
    await lab().remove(result);
    await expectNothingLeft();
  }

  function filesWith(text: string, directory: string): readonly string[] {
    const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    return files.map((entry) => join(entry.parentPath, entry.name)).filter((path) => readFileSync(path, 'latin1').includes(text));
  }

  async function flipByteIn(path: string): Promise<void> {
    const file = await open(path, 'r+');
    try {
      const at = Math.floor((await file.stat()).size / 2);
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
      await file.write(Buffer.from([(buffer[0] ?? 0) ^ 0x10]), 0, 1, at);
    } finally {
      await file.close();
    }
  }

  describe('killed by SIGKILL', () => {
    test.each([
      { step: 'take-backup:local', delayMs: 0 },
      { step: 'take-backup:local', delayMs: 250 },
      { step: 'take-backup:local', delayMs: 700 },
      { step: 'take-backup:s3', delayMs: 0 },
    ])(
      'in $step of a backup, $delayMs ms after it began, leaves nothing running, and has one backup in each when resumed',
      async (moment) => {
        const { run } = await interruptAt(lab(), BACKUP, moment);
        await expectNothingElseRuns(lab());
        const result = await lab().json<{ run: string; backups: readonly Backup[]; failures: readonly unknown[] }>('runs', 'resume', run);
        expect(result).toMatchObject({ run, failures: [] });
        expect(await backupsOf(run)).toEqual(['local', 's3']);
        await expectNothingElseRuns(lab());
      },
    );
  });

  test('does not take two backups at once: the second run is told who is at it', async () => {
    const watch = new JournalWatch(lab().description.stateDirectory);
    const tool = new RunningTool(BACKUP, { config: config() });
    const run = await watch.stepBegun('take-backup:local', tool);
    expect(await lab().error(...BACKUP.slice(0, -1))).toMatchObject({ code: 'LOCKED', exitCode: 11, details: { runId: run } });
    expect((await tool.ended).exitCode).toBe(0);
    expect(await backupsOf(run)).toEqual(['local', 's3']);
  });

  test('is told a wrong key as such, and prints and keeps no secret', async () => {
    const secret = join(lab().directory, 'secrets/wrong');
    writeFileSync(secret, `${CANARY}\n`, { mode: 0o600 });
    await chown(secret, lab().owner.uid, lab().owner.gid);
    const state = await lab().makeDirectory('state-of-wrong-key');
    const wrong = await configurationWith(lab(), 'wrong-key', (document) =>
      document.setIn(['clusters', 'lab', 'repositories', 1, 'secretKey'], `\${file:${secret}}`),
    );
    const argv = ['restore', '--to', target, '--repo', 's3', '--state-directory', state, ...into('never')];
    const { document, stdout, stderr } = await spoke(argv, { config: wrong });
    expect(document).toMatchObject({ error: { code: 'REPOSITORY_DENIED', exitCode: 21 } });
    expect(stdout + stderr).not.toContain(CANARY);
    expect(filesWith(CANARY, state)).toEqual([]);
    await expectNothingLeft();
  });

  test('names a program that is missing before it begins anything', async () => {
    const bin = await lab().makeDirectory('bin');
    for (const name of readdirSync(lab().description.postgresqlBinDirectory))
      if (name !== 'pg_basebackup') symlinkSync(join(lab().description.postgresqlBinDirectory, name), join(bin, name));
    const without = await configurationWith(lab(), 'no-basebackup', (document) =>
      document.setIn(['clusters', 'lab', 'postgresqlBinDirectory'], bin),
    );
    const runs = runsIn(lab().description.stateDirectory);
    const error = await spokeError(BACKUP.slice(0, -1), { config: without });
    expect(error, error.stderr).toMatchObject({ code: 'TOOL_MISSING', exitCode: 22 });
    expect(error.message).toContain('pg_basebackup');
    expect(runsIn(lab().description.stateDirectory)).toEqual(runs);
    symlinkSync(join(lab().description.postgresqlBinDirectory, 'pg_basebackup'), join(bin, 'pg_basebackup'));
    const { failures } = await spokeJson<{ failures: readonly unknown[] }>(BACKUP.slice(0, -1), { config: without });
    expect(failures).toEqual([]);
  });

  describe('with a bucket that dies', () => {
    let proxy: S3Proxy;
    let through: string;
    let state: string;

    beforeAll(async () => {
      proxy = await S3Proxy.before(lab().description.s3?.endpoint ?? '');
      state = await lab().makeDirectory('state-of-proxy');
      through = await configurationWith(lab(), 'proxy', (document) => {
        document.set('stateDirectory', state);
        document.setIn(['clusters', 'lab', 'repositories', 1, 'port'], proxy.port);
      });
    });

    afterAll(() => proxy.close());

    test('amid a backup has the other repository get its own, says so with 3, and the run brings it there later', async () => {
      const watch = new JournalWatch(state);
      const tool = new RunningTool(BACKUP, { config: through });
      const run = await watch.stepBegun('take-backup:local', tool);
      proxy.breakAfter({ bytes: 100_000 });
      const ended = await tool.ended;
      expect(ended.exitCode, ended.stderr).toBe(3);
      expect(JSON.parse(ended.stdout)).toMatchObject({ backups: [{ repository: 'local' }], failures: [{ repository: 's3' }] });
      expect(strangers(lab())).toEqual([]);
      expect(await backupsOf(run)).toEqual(['local']);
      proxy.mend();
      await spokeJson(['runs', 'resume', run], { config: through });
      expect(await backupsOf(run)).toEqual(['local', 's3']);
    });

    test('keeps WAL with ack all while nobody ships it, and has it all in the end where the daemon is killed amid an upload', async () => {
      const ack = (value: string) => reconfigure(lab(), (document) => document.setIn(['clusters', 'lab', 'archiving', 'ack'], value));
      await ack('all');
      const shipping = await configurationWith(lab(), 'shipping', (document) =>
        document.setIn(['clusters', 'lab', 'repositories', 1, 'port'], proxy.port),
      );
      const isIn = async (repository: 'local' | 's3', name: string) => (await lab().walFiles(repository)).includes(`${name}.zst`);
      const archiver = async () => (await querySocket(lab().primary, 'SELECT last_archived_wal, last_failed_wal FROM pg_stat_archiver'))[0];
      const waits = () => identityOf(join(lab().primary.dataDirectory, 'pg_wal/archive_status', `${name}.ready`));
      // Some megabytes that can hardly be made smaller.
      await querySocket(lab().primary, 'CREATE TABLE noise AS SELECT gen_random_uuid() AS noise FROM generate_series(1, 100000)');
      const name = await switchedFrom();
      await expect.poll(archiver, { timeout: 60_000 }).toMatchObject({ last_failed_wal: name });
      expect([await isIn('local', name), await isIn('s3', name)]).toEqual([true, false]);
      proxy.breakAfter({ bytes: 800_000 });
      const killed = new RunningTool(['daemon'], { config: shipping });
      await expect.poll(() => proxy.isBroken || killed.hasEnded, { timeout: 60_000 }).toBe(true);
      killed.kill('SIGKILL');
      expect((await killed.ended).exitCode).toBe(null);
      await expectNothingElseRuns(lab());
      expect(await isIn('s3', name)).toBe(false);
      expect(waits()).toBeDefined();
      proxy.mend();
      const next = new RunningTool(['daemon'], { config: shipping });
      // The archiver sleeps for a minute where it has failed thrice, unless there is more.
      const last = await switchedFrom();
      await expect.poll(archiver, { timeout: 90_000 }).toMatchObject({ last_archived_wal: last });
      next.kill('SIGTERM');
      expect((await next.ended).exitCode).toBe(0);
      for (const file of [name, last]) {
        const key = `wal/${file.slice(0, 16)}/${file}.zst`;
        expect((await lab().bucket.read(`native/lab/${key}`)).equals(readFileSync(join(lab().nativeDirectory, key)))).toBe(true);
      }
      await expectNothingElseRuns(lab());
      await ack('local');
    });

    async function switchedFrom(): Promise<string> {
      await querySocket(lab().primary, 'SELECT pg_current_xact_id()');
      const [row] = await querySocket<{ name: string }>(lab().primary, 'SELECT pg_walfile_name(pg_switch_wal()) AS name');
      return row?.name ?? '';
    }

    test.each([
      { when: 'the copy', step: 'copy-backup', remaining: { bytes: 1_000_000 } },
      { when: 'the replay', step: 'start-isolated', remaining: { connections: 0, bytes: 10_000 } },
    ])(
      'amid $when of a restore that is to use no other one fails as such, and the run goes on when it is back',
      async ({ step, remaining }) => {
        const watch = new JournalWatch(state);
        const tool = new RunningTool(['restore', '--to', target, '--repo', 's3', ...into('restored'), '--json'], { config: through });
        const run = await watch.stepBegun(step, tool);
        proxy.breakAfter(remaining);
        const ended = await tool.ended;
        expect(errorOf(ended), ended.stderr).toMatchObject({ code: 'REPOSITORY_UNAVAILABLE', exitCode: 21 });
        expect(identityOf(join(lab().directory, 'restored'))).toBe(undefined);
        await expectNothingElseRuns(lab());
        proxy.mend();
        await expectRestored(await spokeJson<RestoreResult>(['runs', 'resume', run], { config: through }), 's3');
      },
    );
  });

  describe('on a full disk', () => {
    let small: Tmpfs;

    afterAll(async () => {
      if (noTmpfs === undefined) await small.unmount();
    });

    test('ends a restore as such, and goes on when there is space again', async (context) => {
      if (noTmpfs !== undefined) context.skip(noTmpfs);
      small = await Tmpfs.mount(lab(), 'small', 'size=200m');
      await small.allowFiles(300);
      const path = join(small.path, 'data');
      const error = await lab().error('restore', '--to', target, '--repo', 'local', '--data-directory', path);
      expect(error, error.stderr).toMatchObject({ code: 'DISK_FULL', exitCode: 22 });
      expect(identityOf(path)).toBe(undefined);
      await expectNothingElseRuns(lab());
      await small.widen();
      const result = await lab().json<RestoreResult>('runs', 'resume');
      expect(await rowsOf(result)).toEqual(kept);
      await lab().remove(result);
    });

    test('of a repository takes the backup into the other one, keeps what is there and acknowledges no WAL that is not', async (context) => {
      if (noTmpfs !== undefined) context.skip(noTmpfs);
      const tiny = await Tmpfs.mount(lab(), 'tiny', 'size=24m');
      try {
        await reconfigure(lab(), (document) =>
          document.addIn(['clusters', 'lab', 'repositories'], { name: 'tiny', kind: 'local', path: tiny.path, engine: 'native' }),
        );
        const filler = tiny.fill();
        const ended = await runTool(BACKUP, { config: config() });
        expect(ended.exitCode, ended.stderr).toBe(3);
        expect(JSON.parse(ended.stdout)).toMatchObject({ backups: [{ repository: 'local' }, { repository: 's3' }] });
        expect(ended.stderr).toMatch(/tiny.*(no space left|full)/i);
        await rm(filler);
        const { failures } = await lab().json<{ failures: readonly unknown[] }>('runs', 'resume');
        expect(failures).toEqual([]);
      } finally {
        await reconfigure(lab(), (document) => document.deleteIn(['clusters', 'lab', 'repositories', 2]));
        await tiny.unmount();
      }
    });
  });

  describe('with a damaged repository', () => {
    test('passes over WAL that is missing in one repository', async () => {
      const path = join(lab().nativeDirectory, 'wal', segment.slice(0, 16), `${segment}.zst`);
      await rename(path, `${path}.away`);
      try {
        const error = await lab().error('restore', '--to', target, '--repo', 'local', ...into('never'));
        expect(error, error.stderr).toMatchObject({ code: 'TARGET_IN_GAP', exitCode: 13 });
        await expectRestored(await lab().json<RestoreResult>('restore', '--to', target, ...into('copy')), 's3');
      } finally {
        await rename(`${path}.away`, path);
      }
    });

    test('tells of a flipped byte in the chosen backup, leaves nothing, and takes the other repository where it may', async () => {
      await flipByteIn(join(lab().nativeDirectory, 'backups', label, 'base.tar.zst'));
      const argv = ['restore', '--to', target, '--set', label];
      const error = await lab().error(...argv, '--repo', 'local', ...into('never'));
      expect(error, error.stderr).toMatchObject({ code: 'BACKUP_DAMAGED', exitCode: 14 });
      expect(readdirSync(lab().directory)).not.toContain('never');
      await expectNothingLeft();
      const { document, stderr } = await lab().spoke('restore', '--to', target, ...into('copy'));
      expect(stderr).toContain('trying another backup or repository');
      await expectRestored(document as RestoreResult, 's3');
    });

    test('brings every row from S3 where the local one is deleted, and from the local one where the bucket is', async () => {
      await rename(lab().nativeDirectory, `${lab().nativeDirectory}.away`);
      try {
        await expectRestored(await lab().json<RestoreResult>('restore', '--to', target, ...into('copy')), 's3');
      } finally {
        await rename(`${lab().nativeDirectory}.away`, lab().nativeDirectory);
      }
      await lab().backup('full', '--repo', 'local');
      const later = await serverTimeAfterBackup();
      await lab().bucket.remove(await lab().bucket.keys('native/lab/'));
      await expectRestored(await lab().json<RestoreResult>('restore', '--to', later, ...into('copy')), 'local');
    });

    async function serverTimeAfterBackup(): Promise<string> {
      await untilBackupsArePast(lab());
      await rows.commit();
      kept = await rows.now();
      const time = await serverTime(lab().primary);
      await rows.commit();
      return time;
    }
  });
});

describe('backups that are encrypted', () => {
  const lab = useLab({ engine: 'native', s3: false });
  let identityFile: string;
  let rows: Rows;

  beforeAll(async () => {
    identityFile = join(lab().directory, 'secrets/identity');
    execFileSync('age-keygen', ['-o', identityFile], { stdio: 'pipe' });
    await chown(identityFile, lab().owner.uid, lab().owner.gid);
    const recipient = execFileSync('age-keygen', ['-y', identityFile], { encoding: 'utf8' }).trim();
    await reconfigure(lab(), (document) => document.setIn(['clusters', 'lab', 'encryption'], { recipients: [recipient] }));
    rows = await Rows.begin(lab());
    await querySocket(lab().primary, `CREATE TABLE secrets AS SELECT '${CANARY}'::text AS secret`);
    await lab().backup('full');
    await untilBackupsArePast(lab());
    await rows.commit();
  }, 120_000);

  const restore = () => ['restore', '--to', 'latest', '--data-directory', join(lab().directory, 'copy')];

  test('are written by a host that does not hold the key, and cannot be read there, which is said with what to do', async () => {
    const [folder = ''] = readdirSync(join(lab().nativeDirectory, 'backups'));
    const files = readdirSync(join(lab().nativeDirectory, 'backups', folder)).sort();
    expect(files).toEqual(['SHA256SUMS', 'backup.json', 'backup_manifest.age', 'base.tar.zst.age']);
    const error = await lab().error(...restore());
    expect(error, error.stderr).toMatchObject({ code: 'SECRET_UNAVAILABLE', exitCode: 10 });
    expect(error.hint).toContain('encryption.identityFile');
    // It can go on with the key: until then there is nothing in its place that could be started.
    const [area = ''] = restoreAreasBeside(join(lab().directory, 'copy'));
    expect(identityOf(join(lab().directory, area, 'data/global/pg_control'))).toBe(undefined);
    await expectNothingElseRuns(lab());
  });

  test('are restored where the key is, with all WAL, by the run that lacked it', async () => {
    const config = await configurationWith(lab(), 'with-key', (document) =>
      document.setIn(['clusters', 'lab', 'encryption', 'identityFile'], identityFile),
    );
    const result = await spokeJson<RestoreResult>(['runs', 'resume'], { config });
    expect(await rowsOf(result)).toEqual(await rows.now());
    expect(restoreAreasBeside(result.dataDirectory)).toEqual([]);
    await lab().remove(result);
    await expectNothingElseRuns(lab());
  });

  test('name age where it is missing', async () => {
    const bin = await lab().makeDirectory('bin');
    for (const directory of ['/usr/bin', '/bin', '/usr/sbin', '/sbin'])
      for (const name of readdirSync(directory)) if (!/^(age|rage)$/.test(name)) linkUnlessThere(join(directory, name), join(bin, name));
    const ended = await runTool(BACKUP, { config: lab().description.config, environment: { PATH: bin } });
    expect(ended.stdout + ended.stderr, ended.stderr).toMatch(/\bage\b.*not in PATH/);
    expect(ended.exitCode).toBe(22);
    await expectNothingElseRuns(lab());
  });

  function linkUnlessThere(from: string, to: string): void {
    try {
      symlinkSync(from, to);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
    }
  }
});
