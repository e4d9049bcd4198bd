import { describe, expect, it } from 'vitest';
import { candidateDirectories, parsePostgresVersion } from '../../../src/adapters/instance/installation.ts';
import { parseMountPoints } from '../../../src/adapters/instance/mounts.ts';
import { dataDirectoryArgument } from '../../../src/adapters/instance/process-table.ts';
import { parsePasswd } from '../../../src/adapters/instance/users.ts';

describe('/etc/passwd', () => {
  it('gives users with uid, gid and home, and passes over what is no entry', () => {
    const text =
      'root:x:0:0:root:/root:/bin/bash\n# comment\n+nis\npostgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\nbroken:x:::::\n';
    expect(parsePasswd(text)).toEqual([
      { name: 'root', uid: 0, gid: 0, home: '/root' },
      { name: 'postgres', uid: 101, gid: 104, home: '/var/lib/postgresql' },
    ]);
  });
});

describe('/proc/self/mountinfo', () => {
  it('escapes spaces, tabs, newlines and backslashes in octal (proc(5))', () => {
    const text = [
      '36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue',
      '37 35 0:40 / /with\\040space\\011tab\\134backslash rw - tmpfs tmpfs rw',
      '',
    ].join('\n');
    expect(parseMountPoints(text)).toEqual(['/mnt2', '/with space\ttab\\backslash']);
  });
});

describe('postgres --version', () => {
  it.each([
    ['postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)', { version: '15.20', major: 15 }],
    ['postgres (PostgreSQL) 17.2\n', { version: '17.2', major: 17 }],
    ['postgres (PostgreSQL) 18beta1', { version: '18beta1', major: 18 }],
    ['postgres (PostgreSQL) 19devel', { version: '19devel', major: 19 }],
  ])('%j', (output, expected) => {
    expect(parsePostgresVersion(output)).toEqual(expected);
  });

  it('of another program is no version', () => {
    expect(parsePostgresVersion('psql (PostgreSQL) 15.20')).toBeUndefined();
    expect(parsePostgresVersion('')).toBeUndefined();
  });
});

describe('where PostgreSQL is looked for', () => {
  it('is the configured directory first, then those of packages, then PATH', () => {
    const found = candidateDirectories(16, '/custom/bin', '/usr/bin:/usr/lib/postgresql/16/bin');
    expect(found[0]).toBe('/custom/bin');
    expect(found.indexOf('/usr/lib/postgresql/16/bin')).toBeLessThan(found.indexOf('/usr/bin'));
    expect(found).toContain('/usr/pgsql-16/bin');
    expect(new Set(found).size).toBe(found.length);
  });

  it('is never a relative entry of PATH: it would mean the working directory', () => {
    expect(candidateDirectories(16, undefined, '.::bin')).not.toContain('.');
    expect(candidateDirectories(16, undefined, '.::bin').every((directory) => directory.startsWith('/'))).toBe(true);
  });
});

describe('the data directory in a command line', () => {
  it('follows -D, apart or together', () => {
    expect(dataDirectoryArgument(['/usr/bin/postgres', '-D', '/data/pg', '-c', 'x=y'])).toBe('/data/pg');
    expect(dataDirectoryArgument(['postgres', '-D/data/pg'])).toBe('/data/pg');
  });

  it('is unknown where there is none, as in a backend’s title, or where it is relative', () => {
    expect(dataDirectoryArgument(['postgres: checkpointer '])).toBeUndefined();
    expect(dataDirectoryArgument(['postgres', '-D', 'data'])).toBeUndefined();
    expect(dataDirectoryArgument([])).toBeUndefined();
  });
});
