import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadSchedule, loadSchedules, parseSchedule } from '../../../src/config/schedules.ts';
import { errorOf, parseCluster, rejectionOf, temporaryDirectory } from './helpers.ts';

const SHIPPED = fileURLToPath(new URL('../../../schedules', import.meta.url));

describe('the schedules that ship', () => {
  const location = { configurationPath: '/nowhere/config.yaml', shippedDirectory: SHIPPED };

  it('are a full backup every night, an incremental every six hours, a verification every week, and a drill', async () => {
    const files = (await readdir(SHIPPED)).sort();
    expect(files).toEqual(['daily-full.yaml', 'incremental.yaml', 'nightly-drill.yaml', 'weekly-verify.yaml']);
    const common = { timezone: 'Etc/UTC', repositories: 'all', blackouts: [], suspended: false };
    for (const [name, values] of [
      ['daily-full', { kind: 'backup', type: 'full', cron: '0 2 * * *', expireAfterBackup: true }],
      ['incremental', { kind: 'backup', type: 'incr', cron: '0 */6 * * *', expireAfterBackup: false }],
      ['weekly-verify', { kind: 'verify', cron: '0 4 * * sun' }],
      ['nightly-drill', { kind: 'drill', cron: '0 5 * * *' }],
    ] as const)
      expect((await loadSchedule(name, location)).definition).toEqual({ ...common, ...values });
  });

  it('become schedules of a cluster, each with the repositories of the cluster', async () => {
    const local = (name: string) => `{name: ${name}, kind: local, path: /${name}}`;
    const cluster = parseCluster(`repositories: [${local('a')}, ${local('b')}]\nschedules: [daily-full, weekly-verify]`);
    const [full, verify] = await loadSchedules(cluster, location);
    expect(full).toMatchObject({ name: 'daily-full', kind: 'backup', type: 'full', repositories: ['a', 'b'], expireAfterBackup: true });
    expect(verify).toMatchObject({ name: 'weekly-verify', kind: 'verify', repositories: ['a', 'b'], jitterSeconds: 0, suspended: false });
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
      parseSchedule('/s.yaml', 'kind: backup\ntype: weekly\ncron: "0 25 * * *"\ntimezone: Nowhere\nrepositories: [A b]\n'),
    );
    expect(message.split('\n').slice(1)).toEqual([
      '  type must be one of full, diff, incr at /s.yaml:2:1',
      '  cron must be a cron expression: its hour cannot be read at /s.yaml:3:1',
      '  timezone must be the name of a time zone, such as Etc/UTC or Europe/Paris at /s.yaml:4:1',
      expect.stringMatching(/^  repositories\[0\] must be a name: .* at \/s\.yaml:5:16$/),
    ]);
    expect(errorOf(() => parseSchedule('/s.yaml', 'kind: backup')).message).toContain('cron is missing');
    for (const text of ['', 'kind: back'])
      expect(errorOf(() => parseSchedule('/s.yaml', text)).message).toBe(
        'kind must be one of backup, expire, verify, drill at /s.yaml:1:1',
      );
    expect(errorOf(() => parseSchedule('/s.yaml', valid.replace('0 2 * *', '0 2 31 2'))).message).toContain(
      'cron must be a cron expression: it is never due: none of its months has such a day at /s.yaml:3:1',
    );
    expect(errorOf(() => parseSchedule('/s.yaml', `${valid}repositories: some`)).message).toBe(
      'repositories must be all, or a list of names of repositories at /s.yaml:4:1',
    );
    expect(errorOf(() => parseSchedule('/s.yaml', 'kind: "x')).message).toContain('a closing quote');
  });

  it('says in durations, times and days what else it wants', async () => {
    const directory = await temporaryDirectory();
    const path = join(directory, 'own.yaml');
    const window = '{from: "22:00", to: "06:30", days: [sat, sun]}';
    await writeFile(path, `${valid}jitter: 10m\nmaximumRunTime: 6h\nsuspended: true\nblackouts: [${window}]\n`);
    const cluster = parseCluster(`repositories: [{name: a, kind: local, path: /a}]\nschedules: [${path}]`);
    const [own] = await loadSchedules(cluster, { configurationPath: '/nowhere/config.yaml', shippedDirectory: SHIPPED });
    expect(own).toMatchObject({ name: 'own', jitterSeconds: 600, maximumRunSeconds: 21_600, suspended: true });
    expect(own?.blackouts).toEqual([{ from: 22 * 3600, to: 6.5 * 3600, daysOfWeek: new Set([6, 0]) }]);
  });

  it.each([
    ['jitter: 10', 'jitter must be a duration of at most a day, such as 10m at'],
    ['jitter: 25h', 'jitter must be a duration of at most a day'],
    ['maximumRunTime: 0s', 'maximumRunTime must be a duration of at most 20 days'],
    ['blackouts: [{from: "8:00", to: "09:00"}]', 'blackouts[0].from must be a time of day'],
    ['blackouts: [{from: "08:00", to: "24:01"}]', 'blackouts[0].to must be a time of day'],
    ['blackouts: [{from: "08:00", to: "09:00", days: [monday]}]', 'blackouts[0].days[0] must be one of sun, mon'],
    ['blackouts: [{from: "08:00", until: "09:00"}]', 'unknown key "until"'],
    ['suspended: maybe', 'suspended must be true or false'],
  ])('may not say %s', (line, words) => {
    expect(errorOf(() => parseSchedule('/s.yaml', `${valid}${line}\n`)).message).toContain(words);
  });

  it('that is explained in the documentation has every key that there is', async () => {
    const path = fileURLToPath(new URL('../../../docs/schedule.example.yaml', import.meta.url));
    const text = await readFile(path, 'utf8');
    const plain = parseSchedule(path, text);
    expect(parseSchedule(path, text.replaceAll(/^# (repositories|expireAfterBackup|suspended):/gm, '$1:'))).toEqual(plain);
    expect(Object.keys(plain).sort()).toEqual([
      'blackouts',
      'cron',
      'expireAfterBackup',
      'jitter',
      'kind',
      'maximumRunTime',
      'repositories',
      'suspended',
      'timezone',
      'type',
    ]);
  });
});
