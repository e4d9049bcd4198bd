import { describe, expect, it } from 'vitest';
import { endpointsText, endpointValues } from '../../../../src/domain/endpoints/endpoints.ts';
import { withHbaRules } from '../../../../src/domain/postgres/hba.ts';
import { passfileText, primaryConninfo } from '../../../../src/domain/setup/conninfo.ts';
import { replicationSettings, settingChanges, tunedSettings } from '../../../../src/domain/setup/server-settings.ts';

const RULES = [{ database: 'replication', user: 'replicator', address: '10.0.1.0/24' }];
const FILE = '# mine\nlocal all all peer\nhost all all 0.0.0.0/0 reject\n';

describe('pg_hba.conf', () => {
  it('gets our rules before all others, and keeps every other line', () => {
    const text = withHbaRules(FILE, RULES);
    expect(text.endsWith(FILE)).toBe(true);
    expect(text).toMatch(/^# begin.*\nhost +replication +"replicator" +10\.0\.1\.0\/24 +scram-sha-256\n# end.*\n/);
  });

  it('stays as it is when the same is asked again, and keeps what was added before', () => {
    const once = withHbaRules(FILE, RULES);
    expect(withHbaRules(once, RULES)).toBe(once);
    const twice = withHbaRules(once, [{ database: 'postgres', user: 'all', address: '10.0.2.0/24' }]);
    expect(twice).toContain('"replicator"');
    expect(twice).toContain('"all"');
    expect(withHbaRules(FILE, [])).toBe(FILE);
  });

  it('is not touched where half of our block is gone', () => {
    expect(() => withHbaRules(withHbaRules(FILE, RULES).replace(/# end.*\n/, ''), RULES)).toThrow(/one of the two lines/);
  });

  it.each(['a"b', 'a\nb', ''])('cannot let in a role called %j', (user) => {
    expect(() => withHbaRules(FILE, [{ database: 'all', user, address: '10.0.0.0/8' }])).toThrow(/cannot hold/);
  });
});

describe('how a standby connects', () => {
  it('escapes quotes and backslashes as libpq reads them, and holds no password', () => {
    const conninfo = primaryConninfo({
      ...{ host: '10.0.1.10', port: 5432, user: `o'brien\\`, passfile: '/var/lib/a b.pgpass', sslMode: 'prefer', applicationName: 'r' },
    });
    expect(conninfo).toBe(`host=10.0.1.10 port=5432 user='o\\'brien\\\\' passfile='/var/lib/a b.pgpass' sslmode=prefer application_name=r`);
  });

  it('has colons and backslashes escaped in the passfile', () => {
    expect(passfileText([{ host: '::1', port: 5432 }], 'r', 'a:b\\c #1')).toBe('\\:\\:1:5432:*:r:a\\:b\\\\c #1\n');
  });
});

describe('settings', () => {
  const machine = { memoryBytes: 16 * 1024 ** 3, cores: 8 };
  const of = (name: string) => tunedSettings(machine).find((one) => one.name === name)?.value;

  it('are those of the guide on a machine of 16 GiB', () => {
    expect([of('shared_buffers'), of('effective_cache_size'), of('maintenance_work_mem'), of('work_mem')]).toEqual([
      '4096MB',
      '12288MB',
      '1024MB',
      '10MB',
    ]);
  });

  it('change nothing that is enough already, or that somebody has set otherwise', () => {
    const present = [
      { name: 'wal_level', value: 'logical' },
      { name: 'max_wal_senders', value: '20' },
      { name: 'wal_keep_size', value: '2048', unit: 'MB' },
      { name: 'shared_buffers', value: '65536', unit: '8kB', bootValue: '16384' },
    ];
    expect(settingChanges(present, [...replicationSettings({ othersConnect: true }), ...tunedSettings(machine)])).toEqual([]);
  });

  it('change what is as PostgreSQL comes, in whatever unit it shows it', () => {
    const present = [
      { name: 'shared_buffers', value: '16384', unit: '8kB', bootValue: '16384' },
      { name: 'wal_level', value: 'minimal' },
    ];
    const changes = settingChanges(present, [...replicationSettings({ othersConnect: false }), ...tunedSettings(machine)]);
    expect(changes.map(({ name, value }) => `${name}=${value}`)).toEqual(['wal_level=replica', 'shared_buffers=4096MB']);
    const done = [{ name: 'shared_buffers', value: '524288', unit: '8kB', bootValue: '16384' }];
    expect(settingChanges(done, tunedSettings(machine))).toEqual([]);
  });
});

describe('endpoints', () => {
  it('need no quotes in any shell, whatever is in them', () => {
    const values = endpointValues({
      primary: { host: '10.0.1.10', port: 5432 },
      standbys: [
        { host: '::1', port: 5433 },
        { host: 'db2', port: 5432 },
      ],
      database: `a b'$(id)"`,
      user: 'spoke*',
    });
    expect(endpointsText(values)).toBe(
      [
        '# Written by spoke-backup after each change of the cluster.',
        'SPOKE_POSTGRES_URL=postgresql://spoke%2A@10.0.1.10:5432/a%20b%27%24%28id%29%22',
        'SPOKE_POSTGRES_REPLICA_URLS=postgresql://spoke%2A@[::1]:5433/a%20b%27%24%28id%29%22,postgresql://spoke%2A@db2:5432/a%20b%27%24%28id%29%22',
        '',
      ].join('\n'),
    );
  });
});
