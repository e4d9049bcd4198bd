import { execFileSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chown, open } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { runProgram, spoke, spokeError } from '../harness/cli.ts';
import { useLab } from '../harness/lab.ts';
import { configurationWith } from './support/config.ts';
import { restoreAreasBeside, Rows, rowsOf, serverTime, untilBackupsArePast } from './support/data.ts';
import { daemonsOf, expectNothingElseRuns, postmasterOf } from './support/processes.ts';

const CANARY = 'CANARY-3f9c1e';

describe('repositories and tools that fail', () => {
  const lab = useLab({ bundle: true, impatient: true });
  let kept: readonly number[];
  let target: string;
  let label: string;

  beforeAll(async () => {
    const rows = await Rows.begin(lab());
    const backups = await lab().backup('full');
    label = backups.find((backup) => backup.repository === 'local')?.label ?? '';
    await untilBackupsArePast(lab());
    await rows.commit();
    kept = await rows.now();
    target = await serverTime(lab().primary);
    await rows.commit();
  });

  const into = (name: string) => ['--data-directory', join(lab().directory, name)];

  const otherConfiguration = (name: string, path: readonly (string | number)[], value: unknown) =>
    configurationWith(lab(), name, (document) => document.setIn(path, value));

  async function expectNothingLeft(): Promise<void> {
    expect(restoreAreasBeside(join(lab().directory, 'x'))).toEqual([]);
    await expectNothingElseRuns(lab());
  }

  test('a wrong key is told as such, and no secret is printed or kept', async () => {
    const secret = join(lab().directory, 'secrets/wrong');
    writeFileSync(secret, `${CANARY}\n`, { mode: 0o600 });
    await chown(secret, lab().owner.uid, lab().owner.gid);
    const config = await otherConfiguration('wrong-key', ['clusters', 'lab', 'repositories', 1, 'secretKey'], `\${file:${secret}}`);
    const state = await lab().makeDirectory('state-of-wrong-key');
    const result = await spoke(['restore', '--to', target, '--repo', 's3', '--state-directory', state, ...into('never')], { config });
    expect(result.document).toMatchObject({ error: { code: 'REPOSITORY_DENIED', exitCode: 21 } });
    expect(result.exitCode).toBe(21);
    expect(result.stdout + result.stderr).not.toContain(CANARY);
    expect(filesWith(CANARY, state)).toEqual([]);
    await expectNothingLeft();
  });

  function filesWith(text: string, directory: string): readonly string[] {
    const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    return files.map((entry) => join(entry.parentPath, entry.name)).filter((path) => readFileSync(path, 'latin1').includes(text));
  }

  test.each([
    ['that is not there', '/nowhere/pgbackrest', 'TOOL_MISSING'],
    ['that is too old', join(import.meta.dirname, '../fixtures/executables/pgbackrest-of-2021'), 'TOOL_UNSUPPORTED'],
  ])('a pgBackRest %s is told as such', async (_what, command, code) => {
    const copy = join(lab().directory, 'pgbackrest-of-the-test');
    if (!command.startsWith('/nowhere')) copyFileSync(command, copy);
    const config = await otherConfiguration(
      'tool',
      ['clusters', 'lab', 'pgbackrest', 'command'],
      command.startsWith('/nowhere') ? command : copy,
    );
    const error = await spokeError(['restore', '--to', target, ...into('never')], { config });
    expect(error).toMatchObject({ code, exitCode: 22 });
    await expectNothingLeft();
  });

  test('a flipped byte in the backup makes the restore fail, say so and leave nothing, where there is no other backup', async () => {
    const damaged = await flipByteIn(join(lab().directory, 'repository/backup/lab', label, 'pg_data/base'));
    const error = await lab().error('restore', '--to', target, '--repo', 'local', ...into('never'));
    expect(error).toMatchObject({ code: 'BACKUP_DAMAGED', exitCode: 14 });
    expect(readdirSync(lab().directory)).not.toContain('never');
    await expectNothingLeft();
    expect(damaged).toContain(label);
  });

  test('the damaged backup is passed over for the one in the other repository, which is said', async () => {
    const result = await spoke(['restore', '--to', target, ...into('from-s3')], { config: lab().description.config });
    expect(result.exitCode, result.stderr).toBe(0);
    expect(result.document).toMatchObject({ backup: { repository: 's3' } });
    expect(result.stderr).toContain('trying another backup or repository');
    const restored = result.document as Parameters<ReturnType<typeof lab>['remove']>[0] & { port: number };
    expect(await rowsOf(restored)).toEqual(kept);
    await lab().remove(restored);
    await expectNothingLeft();
  });

  /** The largest file: its middle is in the compressed data for sure. */
  async function flipByteIn(directory: string): Promise<string> {
    const found = execFileSync('find', [directory, '-type', 'f', '-printf', '%s %p\n'], { encoding: 'utf8' });
    const [largest] = found
      .trim()
      .split('\n')
      .map((line) => line.split(' '))
      .sort((a, b) => Number(b[0]) - Number(a[0]));
    const path = largest?.[1] ?? '';
    const file = await open(path, 'r+');
    try {
      const at = Math.floor(Number(largest?.[0]) / 2);
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
      await file.write(Buffer.from([(buffer[0] ?? 0) ^ 0xff]), 0, 1, at);
    } finally {
      await file.close();
    }
    return path;
  }

  describe('with the S3 server down', () => {
    beforeAll(() => {
      const servers = postmasterOf(lab().primary.dataDirectory);
      for (const pid of daemonsOf(lab().directory)) if (!servers.includes(pid)) process.kill(pid, 'SIGKILL');
    });

    test('a restore from it is refused as unreachable', async () => {
      const error = await lab().error('restore', '--to', target, '--repo', 's3', ...into('never'));
      expect(error).toMatchObject({ code: 'REPOSITORY_UNAVAILABLE', exitCode: 21 });
      await expectNothingLeft();
    });

    test('a status says which repository cannot be read, and what the other one has', async () => {
      const { exitCode, stdout } = await runProgram(join(import.meta.dirname, '../../bin/spoke-backup'), ['status'], {
        config: lab().description.config,
      });
      expect(exitCode).toBe(3);
      expect(stdout.split('\n')[0]).toMatch(/^Recoverable .* → .*, no gaps$/);
      expect(stdout).toMatch(/^s3 +unreadable/m);
    });
  });
});
