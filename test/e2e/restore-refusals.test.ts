import { readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { querySocket, useLab } from '../harness/lab.ts';
import { restoreAreasBeside, Rows, serverTime, untilBackupsArePast } from './support/data.ts';
import { expectNothingElseRuns } from './support/processes.ts';

describe('a restore that must not be done', () => {
  const lab = useLab({ s3: false });
  let beforeAnyBackup: string;
  let target: string;

  beforeAll(async () => {
    const rows = await Rows.begin(lab());
    beforeAnyBackup = await serverTime(lab().primary);
    await lab().backup('full');
    await untilBackupsArePast(lab());
    await rows.commit();
    target = await serverTime(lab().primary);
    await rows.commit();
  });

  const into = (name: string) => ['--data-directory', join(lab().directory, name)];

  /** Refused, with a next command, nothing made and nothing running. */
  async function expectRefused(
    argv: readonly string[],
    code: string,
    exitCode: number,
    ...running: string[]
  ): Promise<{ message: string; hint: string }> {
    const before = readdirSync(lab().directory).sort();
    const error = await lab().error('restore', ...argv);
    expect({ code: error.code, exitCode: error.exitCode }, error.message).toEqual({ code, exitCode });
    expect(error.hint.length).toBeGreaterThan(10);
    expect(readdirSync(lab().directory).sort()).toEqual(before);
    await expectNothingElseRuns(lab(), ...running);
    return error;
  }

  test.each([
    ['in the future', ['--to', '2999-01-01T00:00:00Z'], 'TARGET_IN_FUTURE', 13],
    ['on a timeline that nobody began', ['--to', 'latest', '--timeline', '9'], 'TARGET_TIMELINE', 13],
    ['without a zone', ['--to', '2026-11-22 10:00:00'], 'USAGE', 2],
    ['in an hour that happened twice', ['--to', '2026-10-25 02:30:00', '--timezone', 'Europe/Paris'], 'USAGE', 2],
    ['in an hour that was skipped', ['--to', '2026-03-29 02:30:00', '--timezone', 'Europe/Paris'], 'USAGE', 2],
    ['that is no instant', ['--to', 'when it still worked'], 'USAGE', 2],
    ['that is no LSN', ['--to-lsn', '0x3000060'], 'USAGE', 2],
    ['given twice', ['--to', 'latest', '--to-xid', '700'], 'USAGE', 2],
    ['that knows no exclusive', ['--to', 'latest', '--exclusive'], 'USAGE', 2],
    ['from a backup that is not there', ['--to', 'latest', '--set', '20200101-000000F'], 'NO_BACKUP', 13],
    ['from a repository that is not configured', ['--to', 'latest', '--repo', 'tape'], 'USAGE', 2],
  ])('refuses a target %s', async (_what, argv, code, exitCode) => {
    await expectRefused([...argv, ...into('never')], code, exitCode);
  });

  test('refuses an instant before the first backup and prints the earliest that can be reached', async () => {
    const { hint } = await expectRefused(['--to', beforeAnyBackup, ...into('never')], 'TARGET_BEFORE_WINDOW', 13);
    const earliest = /--to "([^"]+)"/.exec(hint)?.[1] ?? '';
    const restored = await lab().restore('earliest', '--to', earliest);
    await lab().remove(restored);
  });

  test('asks for a confirmation of a phrase, with the instant in UTC and its age', async () => {
    const { message } = await expectRefused(['--to', '1 seconds ago', ...into('never')], 'CONFIRMATION_REQUIRED', 12);
    expect(message).toMatch(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.* UTC.* ago/);
  });

  test.each([
    ['the root directory', '/'],
    ['a directory of the system', '/etc'],
    ['the home of whoever runs it', homedir()],
  ])('refuses %s', async (_what, path) => {
    await expectRefused(['--to', target, '--data-directory', path], 'REFUSED_UNSAFE_DIRECTORY', 12);
  });

  test('refuses a directory with files of somebody else', async () => {
    const path = join(lab().directory, 'papers');
    await mkdir(path);
    await writeFile(join(path, 'thesis.txt'), 'the only copy');
    await expectRefused(['--to', target, '--data-directory', path], 'REFUSED_UNSAFE_DIRECTORY', 12);
    expect(readdirSync(path)).toEqual(['thesis.txt']);
    await rm(path, { recursive: true });
  });

  test('refuses a symbolic link to the data directory of the living primary', async () => {
    const link = join(lab().directory, 'link');
    symlinkSync(lab().primary.dataDirectory, link);
    await expectRefused(['--to', target, '--data-directory', link], 'REFUSED_UNSAFE_DIRECTORY', 12);
    await rm(link);
  });

  test('refuses the data directory of a running server, also with its postmaster.pid removed', async () => {
    const restored = await lab().restore('running', '--to', target);
    const { dataDirectory } = restored;
    const [pid] = readFileSync(join(dataDirectory, 'postmaster.pid'), 'utf8').split('\n');
    await expectRefused(['--to', target, '--data-directory', dataDirectory], 'REFUSED_SERVER_RUNNING', 12, dataDirectory);
    await rm(join(dataDirectory, 'postmaster.pid'));
    const error = await lab().error('restore', '--to', target, '--data-directory', dataDirectory);
    expect(error).toMatchObject({ code: 'REFUSED_SERVER_RUNNING', exitCode: 12 });
    expect(await querySocket(restored, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    process.kill(Number(pid), 'SIGQUIT');
    await expectNothingElseRuns(lab());
    await lab().remove(restored);
  });

  test('refuses to replace the data directory of another cluster', async () => {
    const path = join(lab().directory, 'stranger');
    await lab().postgresql('initdb', '--no-sync', `--pgdata=${await emptyDirectory(path)}`);
    await expectRefused(['--to', target, '--data-directory', path, '--confirm', 'lab'], 'REFUSED_WRONG_CLUSTER', 12);
    await rm(path, { recursive: true });
  });

  async function emptyDirectory(path: string): Promise<string> {
    await mkdir(path, { mode: 0o700 });
    await chown(path, lab().owner.uid, lab().owner.gid);
    return path;
  }

  test('replaces a data directory only when the name of the cluster is given, and the right one', async () => {
    const identity = readdirSync(lab().primary.dataDirectory).length;
    await expectRefused(['--to', target, '--in-place'], 'CONFIRMATION_REQUIRED', 12);
    await expectRefused(['--to', target, '--in-place', '--confirm', 'prod'], 'CONFIRMATION_REQUIRED', 12);
    expect(readdirSync(lab().primary.dataDirectory).length).toBe(identity);
    expect(restoreAreasBeside(lab().primary.dataDirectory)).toEqual([]);
  });

  test('refuses a target in a gap and names an instant on either side of it', async () => {
    const rows = await gap();
    const { message, hint } = await expectRefused(['--to', rows.inside, ...into('never')], 'TARGET_IN_GAP', 13);
    expect(message).toContain('UTC');
    expect(hint).toContain('--to "');
    const restored = await lab().restore('after-gap', '--to', rows.after);
    await lab().remove(restored);
  });

  /** Two backups with WAL between them of which one segment is removed from the archive. */
  async function gap(): Promise<{ inside: string; after: string }> {
    const { primary } = lab();
    await querySocket(primary, 'SELECT pg_switch_wal()');
    const [lost] = await querySocket<{ name: string }>(primary, 'SELECT pg_walfile_name(pg_current_wal_lsn()) AS name');
    await querySocket(primary, 'INSERT INTO numbers VALUES (1000)');
    await querySocket(primary, 'SELECT pg_switch_wal()');
    await querySocket(primary, 'INSERT INTO numbers VALUES (1001)');
    await querySocket(primary, 'SELECT pg_switch_wal()');
    await querySocket(primary, 'INSERT INTO numbers VALUES (1002)');
    const inside = await serverTime(primary);
    await lab().backup('full');
    await untilBackupsArePast(lab());
    await querySocket(primary, 'INSERT INTO numbers VALUES (1003)');
    const after = await serverTime(primary);
    await querySocket(primary, 'INSERT INTO numbers VALUES (1004)');
    await lab().asOwner('sh', '-c', `rm $(find ${lab().directory}/repository/archive -name '${lost?.name}-*')`);
    return { inside, after };
  }
});
