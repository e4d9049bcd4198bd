import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type CliError, PROGRAM, runProgram, spokeError } from '../harness/cli.ts';
import { querySocket, useLab } from '../harness/lab.ts';
import { configurationWith } from './support/config.ts';
import { Rows, serverTime, untilBackupsArePast } from './support/data.ts';
import { JournalWatch, runsIn } from './support/journal.ts';
import { expectNothingElseRuns, strangers } from './support/processes.ts';
import { RunningTool } from './support/tool.ts';

const EXECUTABLES = join(import.meta.dirname, '../fixtures/executables');

describe('a command that must not begin', () => {
  const lab = useLab({ s3: false, impatient: true });
  let target: string;

  const into = (name: string) => ['--data-directory', join(lab().directory, name)];

  /** With what it says, nothing made and nothing running. */
  async function expectRefused(error: Promise<CliError>, code: string, exitCode: number): Promise<CliError> {
    const before = { files: readdirSync(lab().directory), runs: runsIn(lab().description.stateDirectory) };
    const refused = await error;
    expect({ code: refused.code, exitCode: refused.exitCode }, refused.message).toEqual({ code, exitCode });
    expect(refused.hint.length).toBeGreaterThan(10);
    expect(refused.stderr).toContain(`next: ${refused.hint}`);
    expect({ files: readdirSync(lab().directory), runs: runsIn(lab().description.stateDirectory) }).toEqual(before);
    await expectNothingElseRuns(lab());
    return refused;
  }

  test('is a restore before there is any backup', async () => {
    const { hint } = await expectRefused(lab().error('restore', '--to', 'latest', ...into('never')), 'NO_BACKUP', 13);
    expect(hint).toContain('spoke-backup backup');
  });

  describe('with a backup', () => {
    beforeAll(async () => {
      const rows = await Rows.begin(lab());
      await lab().backup('full');
      await untilBackupsArePast(lab());
      await rows.commit();
      target = await serverTime(lab().primary);
      await rows.commit();
    });

    test('is a second restore into the same directory, which is told who is at it', async () => {
      const watch = new JournalWatch(lab().description.stateDirectory);
      const first = new RunningTool(['restore', '--to', target, ...into('restored'), '--no-start'], { config: lab().description.config });
      const run = await watch.stepBegun('copy-backup', first);
      first.kill('SIGSTOP');
      try {
        for (const argv of [
          ['restore', '--to', target, ...into('restored')],
          ['runs', 'resume', run],
        ]) {
          const error = await lab().error(...argv);
          expect(error).toMatchObject({ code: 'LOCKED', exitCode: 11, details: { runId: run, pid: first.pid } });
          expect(error.message).toContain(run);
          expect(error.hint).toContain(`spoke-backup runs show ${run}`);
        }
      } finally {
        first.kill('SIGCONT');
      }
      expect((await first.ended).exitCode).toBe(0);
      await expectNothingElseRuns(lab());
    });

    test('is a backup while a node is restored in place, and the other way about', async () => {
      const inPlace = ['restore', '--to', target, '--in-place', '--confirm', 'lab'];
      for (const [running, step, refused] of [
        [inPlace, 'close-wal-segment', ['backup', '--type', 'full']],
        [['backup', '--type', 'full'], 'take-backup:local', inPlace],
      ] as const) {
        const watch = new JournalWatch(lab().description.stateDirectory);
        const tool = new RunningTool(running, { config: lab().description.config });
        const run = await watch.stepBegun(step, tool);
        tool.kill('SIGSTOP');
        const error = await lab().error(...refused);
        expect(error).toMatchObject({ code: 'LOCKED', exitCode: 11, details: { runId: run, pid: tool.pid } });
        // Asked to end while it stands still, it has not replaced anything.
        tool.kill('SIGTERM');
        tool.kill('SIGCONT');
        expect((await tool.ended).exitCode).toBe(143);
        expect(strangers(lab())).toEqual([]);
      }
      expect(await querySocket(lab().primary, 'SELECT count(*)::int AS rows FROM numbers')).toEqual([{ rows: 2 }]);
    });

    test('is one to resume a run that is not there, or has succeeded', async () => {
      await expectRefused(lab().error('runs', 'resume', '20260101T000000Z-restore-aaaaaa'), 'RUN_NOT_FOUND', 2);
      await expectRefused(lab().error('runs', 'show', '20260101T000000Z-restore-aaaaaa'), 'RUN_NOT_FOUND', 2);
      const done = runsIn(lab().description.stateDirectory).find((run) => run.includes('-backup-')) ?? '';
      await expectRefused(lab().error('runs', 'resume', done), 'REFUSED_PRECONDITION', 12);
    });

    test('is a restore past the end of the WAL that there is', async () => {
      await expectRefused(lab().error('restore', '--to-lsn', 'FF/0', ...into('never')), 'TARGET_AFTER_WINDOW', 13);
    });

    test('is a restore where the programs of PostgreSQL are missing', async (context) => {
      if (process.getuid?.() !== 0) context.skip('needs root to hide them from one process');
      const hide = 'mount -t tmpfs tmpfs "$0" && exec "$@"';
      const argv = ['--mount', 'sh', '-c', hide, lab().description.postgresqlBinDirectory, PROGRAM, 'restore', '--to', target];
      const { stdout, stderr } = await runProgram('unshare', [...argv, ...into('never'), '--json'], { config: lab().description.config });
      const { error } = JSON.parse(stdout) as { error: CliError };
      const { hint } = await expectRefused(Promise.resolve({ ...error, stderr }), 'REFUSED_POSTGRES_VERSION', 12);
      expect(hint).toContain('postgresqlBinDirectory');
    });
  });

  describe('without the tools that it needs', () => {
    const withSetting = async (path: readonly (string | number)[], value: unknown) => ({
      config: await configurationWith(lab(), 'tools', (document) => document.setIn(['clusters', 'lab', ...path], value)),
    });
    const commands = [
      ['restore', '--to', 'latest', '--data-directory', '/nowhere/never'],
      ['backup', '--type', 'full'],
      ['setup', 'archiving', '--confirm', 'lab'],
    ];

    test.each([...commands, ['backups']].map((argv) => [argv]))('is %j where pgBackRest is missing', async (argv) => {
      const missing = await withSetting(['pgbackrest', 'command'], '/nowhere/pgbackrest');
      const { message } = await expectRefused(spokeError(argv, missing), 'TOOL_MISSING', 22);
      expect(message).toContain('/nowhere/pgbackrest');
    });

    test.each(commands.map((argv) => [argv]))('is %j where pgBackRest is too old', async (argv) => {
      const old = await withSetting(['pgbackrest', 'command'], readable('pgbackrest-of-2021'));
      const { hint } = await expectRefused(spokeError(argv, old), 'TOOL_UNSUPPORTED', 22);
      expect(hint).toContain('2.45');
    });

    /** The account of the servers cannot look into everybody's checkout. */
    function readable(name: string): string {
      const path = join(lab().directory, 'tools', name);
      mkdirSync(join(lab().directory, 'tools'), { recursive: true });
      writeFileSync(path, readFileSync(join(EXECUTABLES, name)));
      chmodSync(path, 0o755);
      return path;
    }
  });

  describe('without a configuration that can be used', () => {
    test('is any, and the file, the place in it or the reference is named', async () => {
      const nowhere = '/nowhere/config.yaml';
      const missing = await expectRefused(spokeError(['status'], { config: nowhere }), 'CONFIG_NOT_FOUND', 10);
      expect(missing.message).toContain(nowhere);
      const typo = await configurationWith(lab(), 'typo', (document) => document.setIn(['clusters', 'lab', 'repositorys'], []));
      const invalid = await expectRefused(spokeError(['backup'], { config: typo }), 'CONFIG_INVALID', 10);
      expect(invalid.message).toMatch(/repositorys.*repositories/s);
    });

    test.each([
      ['a variable that is not set', '${env:SPOKE_TEST_NO_SUCH_VARIABLE}', /SPOKE_TEST_NO_SUCH_VARIABLE/],
      ['a file that is not there', '${file:/nowhere/secret}', /\/nowhere\/secret/],
    ])('is one with a secret in %s', async (_what, reference, named) => {
      const { port } = lab().primary;
      const config = await configurationWith(lab(), 'secret', (document) =>
        document.setIn(['clusters', 'lab', 'nodes', 0, 'url'], `postgresql://postgres:${reference}@127.0.0.1:${port}/postgres`),
      );
      const { message } = await expectRefused(spokeError(['backup'], { config }), 'SECRET_UNAVAILABLE', 10);
      expect(message).toMatch(named);
    });

    test('is one with a secret that others can read, and says how to close it', async () => {
      const path = join(lab().directory, 'secrets/open');
      writeFileSync(path, 'x');
      chmodSync(path, 0o644);
      const config = await configurationWith(lab(), 'secret', (document) =>
        document.setIn(['clusters', 'lab', 'nodes', 0, 'url'], `postgresql://postgres:\${file:${path}}@127.0.0.1:1/postgres`),
      );
      const { hint } = await expectRefused(spokeError(['backup'], { config }), 'SECRET_UNAVAILABLE', 10);
      expect(hint).toBe(`chmod 600 ${path}`);
    });
  });
});
