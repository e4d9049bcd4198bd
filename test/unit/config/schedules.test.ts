import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { checkCronExpression } from '../../../src/config/cron-expression.ts';
import { loadSchedule, parseSchedule } from '../../../src/config/schedules.ts';
import { errorOf, rejectionOf, temporaryDirectory } from './helpers.ts';

const SHIPPED = fileURLToPath(new URL('../../../schedules', import.meta.url));

describe('the schedules that ship', () => {
  it('are a full backup every night and an incremental every six hours, to all repositories', async () => {
    expect((await readdir(SHIPPED)).sort()).toEqual(['daily-full.yaml', 'incremental.yaml']);
    const location = { configurationPath: '/nowhere/config.yaml', shippedDirectory: SHIPPED };
    const common = { kind: 'backup', timezone: 'Etc/UTC', repositories: 'all' };
    expect((await loadSchedule('daily-full', location)).definition).toEqual({ ...common, type: 'full', cron: '0 2 * * *' });
    expect((await loadSchedule('incremental', location)).definition).toEqual({ ...common, type: 'incr', cron: '0 */6 * * *' });
  });
});

describe('a schedule', () => {
  const valid = 'kind: backup\ntype: full\ncron: "0 2 * * *"\n';

  it('of the operator comes before one of that name that ships; an absolute path is taken as it is', async () => {
    const directory = await temporaryDirectory();
    await mkdir(join(directory, 'schedules'));
    const own = join(directory, 'schedules', 'daily-full.yaml');
    await writeFile(own, `${valid}repositories: [offsite]\n`);
    const location = { configurationPath: join(directory, 'config.yaml'), shippedDirectory: SHIPPED };
    for (const name of ['daily-full', own]) {
      const { path, definition } = await loadSchedule(name, location);
      expect(path).toBe(own);
      expect(definition.repositories).toEqual(['offsite']);
    }
  });

  it('that is nowhere is told with the places that were looked at', async () => {
    const error = await rejectionOf(loadSchedule('weekly', { configurationPath: '/nowhere/config.yaml', shippedDirectory: SHIPPED }));
    expect(error.code).toBe('CONFIG_NOT_FOUND');
    expect(error.message).toContain(`/nowhere/schedules/weekly.yaml and ${SHIPPED}/weekly.yaml`);
  });

  it('with unknown keys names each with its place and the nearest known one', () => {
    const { message } = errorOf(() => parseSchedule('/s.yaml', `${valid}timezon: Etc/UTC\nrepositorys: all\n`));
    expect(message).toContain('unknown key "timezon" at /s.yaml:4:1; did you mean "timezone"?');
    expect(message).toContain('unknown key "repositorys" at /s.yaml:5:1; did you mean "repositories"?');
  });

  it('that is wrong says what', () => {
    const { message } = errorOf(() =>
      parseSchedule('/s.yaml', 'kind: drill\ntype: weekly\ncron: "0 25 * * *"\ntimezone: Nowhere\nrepositories: [A b]\n'),
    );
    expect(message.split('\n').slice(1)).toEqual([
      '  kind must be backup at /s.yaml:1:1',
      '  type must be one of full, diff, incr at /s.yaml:2:1',
      '  cron must be a cron expression: its hour cannot be read at /s.yaml:3:1',
      '  timezone must be the name of a time zone, such as Etc/UTC or Europe/Paris at /s.yaml:4:1',
      expect.stringMatching(/^  repositories\[0\] must be a name: .* at \/s\.yaml:5:16$/),
    ]);
    expect(errorOf(() => parseSchedule('/s.yaml', '')).message).toContain('cron is missing');
    expect(errorOf(() => parseSchedule('/s.yaml', `${valid}repositories: some`)).message).toBe(
      'repositories must be all, or a list of names of repositories at /s.yaml:4:1',
    );
    expect(errorOf(() => parseSchedule('/s.yaml', 'kind: "x')).message).toContain('a closing quote');
  });
});

describe('a cron expression', () => {
  it.each(['* * * * *', '0 2 * * *', '*/15 8-18/2 * * mon-fri', '0,30 0 1,15 JAN,jul *', '59 23 31 12 *', '0 0 * * 7', '0 0 * * sun'])(
    'may be %s',
    (expression) => {
      expect(checkCronExpression(expression)).toBeUndefined();
    },
  );

  it.each([
    ['', 'fields'],
    ['* * * *', 'it has 4 fields'],
    ['* * * * * *', 'it has 6 fields'],
    ['@daily', 'fields'],
    ['60 * * * *', 'minute'],
    ['* 24 * * *', 'hour'],
    ['* * 0 * *', 'day of the month'],
    ['* * 32 * *', 'day of the month'],
    ['* * * 13 *', 'month'],
    ['* * * * 8', 'day of the week'],
    ['*/0 * * * *', 'minute'],
    ['5/10 * * * *', 'minute'],
    ['30-10 * * * *', 'minute'],
    ['1,,2 * * * *', 'minute'],
    ['-1 * * * *', 'minute'],
    ['* * * * fry', 'day of the week'],
    ['mon * * * *', 'minute'],
    ['0 0 1 * mon', 'both restricted'],
  ])('may not be "%s"', (expression, words) => {
    expect(checkCronExpression(expression)).toContain(words);
  });
});
