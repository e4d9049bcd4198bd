import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../src/cli/run-cli.ts';
import { captureOutput, startCapturing } from './captured.ts';

const printed = captureOutput();
beforeEach(() => startCapturing(printed));

const directories: string[] = [];
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true });
});

const root = fileURLToPath(new URL('../../..', import.meta.url));
const run = (...args: string[]) => runCli(args, { signal: new AbortController().signal, version: '0.1.0', root });

async function configuration(schedules: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'schedule-'));
  directories.push(directory);
  await mkdir(join(directory, 'schedules'));
  const own = 'kind: backup\ntype: diff\ncron: "0 3 * * *"\ntimezone: Europe/Paris\nsuspended: true\n';
  await writeFile(join(directory, 'schedules', 'resting.yaml'), own);
  const cluster = `repositories: [{name: local, kind: local, path: /srv}]\n    schedules: ${schedules}`;
  await writeFile(join(directory, 'config.yaml'), `clusters:\n  main:\n    ${cluster}\n`);
  return join(directory, 'config.yaml');
}

describe('schedule next', () => {
  it('prints in UTC what a pattern is due at after an instant, each night once where 02:30 is skipped', async () => {
    const args = ['--cron', '30 2 * * *', '--timezone', 'America/New_York', '--from', '2026-03-07T00:00:00Z', '--count', '3'];
    expect(await run('schedule', 'next', ...args)).toBe(0);
    // On 8 March the clock goes from 02:00 EST to 03:00 EDT at 07:00 UTC.
    expect(printed.stdout.trim().split('\n')).toEqual(['2026-03-07 07:30:00 UTC', '2026-03-08 07:00:00 UTC', '2026-03-09 06:30:00 UTC']);
  });

  it('prints one JSON document with --json', async () => {
    const args = ['--cron', '0 2 * * *', '--timezone', 'Europe/Paris', '--from', '2026-10-24T12:00:00Z', '--count', '2', '--json'];
    expect(await run('schedule', 'next', ...args)).toBe(0);
    expect(JSON.parse(printed.stdout)).toEqual({
      schema: 1,
      cron: '0 2 * * *',
      timezone: 'Europe/Paris',
      from: '2026-10-24T12:00:00.000000Z',
      // 02:00 comes twice on 25 October; the first is in summer time.
      next: ['2026-10-25T00:00:00.000000Z', '2026-10-26T01:00:00.000000Z'],
    });
  });

  it.each([
    ['a pattern that is never due', ['--cron', '0 2 31 2 *'], 'never due'],
    ['both kinds of days', ['--cron', '0 2 1 * mon'], 'both restricted'],
    ['an unknown zone', ['--cron', '0 2 * * *', '--timezone', 'Europe/Pariss'], 'must be the name of a time zone'],
    ['an instant that is none', ['--cron', '0 2 * * *', '--from', 'soon'], 'is not an instant'],
    ['no count', ['--cron', '0 2 * * *', '--count', '0'], 'from 1 to'],
  ])('refuses %s as wrong usage', async (_what, args, words) => {
    expect(await run('schedule', 'next', ...args)).toBe(2);
    expect(printed.stderr).toContain(words);
    expect(printed.stdout).toBe('');
  });
});

describe('schedule list', () => {
  it('shows the next three times of each schedule, local and UTC, and none of one that is suspended', async () => {
    const config = await configuration('[daily-full, resting]');
    expect(await run('schedule', 'list', '--config', config, '--json')).toBe(0);
    const { schedules } = JSON.parse(printed.stdout) as { schedules: { name: string; next: { utc: string; local: string }[] }[] };
    const [full, resting] = schedules;
    expect(full).toMatchObject({ name: 'daily-full', kind: 'backup', type: 'full', cron: '0 2 * * *', repositories: ['local'] });
    expect(full?.next).toHaveLength(3);
    for (const { utc, local } of full?.next ?? []) {
      expect(utc).toMatch(/T02:00:00\.000000Z$/);
      expect(local).toMatch(/ 02:00:00 UTC$/);
    }
    expect(resting).toMatchObject({ name: 'resting', suspended: true, next: [] });
  });

  it('says the same as a table', async () => {
    expect(await run('schedule', 'list', '--config', await configuration('[daily-full, resting]'))).toBe(0);
    expect(printed.stdout).toMatch(/^SCHEDULE +WHAT +CRON +NEXT, LOCAL +NEXT, UTC$/m);
    expect(printed.stdout).toMatch(/^resting +diff backup: local +0 3 \* \* \* Europe\/Paris +suspended$/m);
    expect(printed.stdout.match(/ 02:00:00 UTC$/gm)).toHaveLength(3);
  });
});

describe('schedule run', () => {
  it('knows the schedules that the cluster names', async () => {
    expect(await run('schedule', 'run', 'dayly-full', '--config', await configuration('[daily-full]'))).toBe(2);
    expect(printed.stderr).toContain('It names: daily-full');
  });
});
