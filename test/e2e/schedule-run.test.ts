import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { useLab } from '../harness/lab.ts';
import { addLocalRepository } from './support/config.ts';
import { errorOf, runTool } from './support/tool.ts';

interface Run {
  readonly run: string;
  readonly verb: string;
  readonly outcome: string;
  readonly trigger: Readonly<Record<string, string>>;
}

describe('a schedule that is run by hand', () => {
  const lab = useLab({ s3: false });

  beforeAll(async () => {
    await addLocalRepository(lab(), 'second');
    const { config } = lab().description;
    await mkdir(join(dirname(config), 'schedules'));
    const hasty = 'kind: backup\ntype: full\ncron: "0 3 * * *"\nrepositories: [local]\nmaximumRunTime: 1s\n';
    await writeFile(join(dirname(config), 'schedules', 'hasty.yaml'), hasty);
    const text = await readFile(config, 'utf8');
    await writeFile(
      config,
      text.replace('    repositories:\n', '    schedules: [daily-full, weekly-verify, nightly-drill, hasty]\n    repositories:\n'),
    );
  });

  const tool = (...argv: string[]) => runTool(argv, { config: lab().description.config });
  const runs = async () => (await lab().json<{ runs: readonly Run[] }>('runs')).runs.filter(({ verb }) => verb !== 'setup-archiving');

  test('takes a full backup into each repository, each a run that notes the schedule', async () => {
    const before = Date.now();
    const result = await lab().json<{ schedule: string; runs: { backups: { repository: string; type: string }[] }[] }>(
      'schedule',
      'run',
      'daily-full',
    );
    expect(result).toMatchObject({
      schedule: 'daily-full',
      runs: [{ backups: [{ repository: 'local', type: 'full' }] }, { backups: [{ repository: 'second', type: 'full' }] }],
      failures: [],
    });
    const noted = await runs();
    expect(noted.map(({ outcome, trigger }) => [outcome, trigger['kind'], trigger['name']])).toEqual([
      ['succeeded', 'schedule', 'daily-full'],
      ['succeeded', 'schedule', 'daily-full'],
    ]);
    for (const { trigger } of noted) expect(Date.parse(trigger['occurrence'] ?? '')).toBeGreaterThanOrEqual(before);
  });

  test('shows with --dry-run what it would do, and does nothing', async () => {
    const before = await runs();
    const { stdout, exitCode } = await tool('schedule', 'run', 'daily-full', '--dry-run');
    expect(exitCode).toBe(0);
    for (const repository of ['1', '2']) expect(stdout).toContain(`--repo=${repository} --type=full`);
    expect(await runs()).toEqual(before);
  });

  test('is ended with 23 when it takes longer than it may', async () => {
    const ended = await tool('schedule', 'run', 'hasty', '--json');
    expect(ended.exitCode, ended.stderr).toBe(23);
    expect(errorOf(ended)).toMatchObject({ code: 'TIMED_OUT', message: 'the schedule hasty allows a run 1 s (maximumRunTime)' });
    expect((await runs())[0]).toMatchObject({ outcome: 'failed', trigger: { name: 'hasty' } });
  });

  test('verifies each repository, and notes what it was begun by', async () => {
    const ended = await tool('schedule', 'run', 'weekly-verify', '--json');
    expect(ended.exitCode, ended.stderr).toBe(0);
    const [last, ...earlier] = await runs();
    for (const run of [last, earlier[0]])
      expect(run).toMatchObject({ verb: 'verify', outcome: 'succeeded', trigger: { name: 'weekly-verify' } });
  });

  test('is refused where this version cannot do its work', async () => {
    const ended = await tool('schedule', 'run', 'nightly-drill', '--json');
    expect(ended.exitCode, ended.stderr).toBe(12);
    expect(errorOf(ended).message).toBe('schedules of kind drill cannot be run by this version');
  });
});
