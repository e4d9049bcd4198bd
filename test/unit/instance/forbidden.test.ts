import { describe, expect, it } from 'vitest';
import { isInside, whyForbidden } from '../../../src/adapters/instance/forbidden.ts';

const facts = {
  homes: ['/root', '/home/ann', '/var/lib/postgresql', '/var/lib/pgsql', '/bin', '/nonexistent'],
  programPaths: ['/opt/node/bin/node', '/srv/spoke/checkout/dist/main.js', '/srv/spoke/checkout'],
};

describe('a directory that may never be a target', () => {
  it.each([
    ['/', 'the root'],
    ['/etc', 'a directory of the system'],
    ['/var', 'a directory of the system'],
    ['/var/lib', 'the parent of every service'],
    ['/tmp', 'everybody’s directory, itself'],
    ['/home', 'the parent of the homes'],
    ['/etc/postgresql/15/main', 'a place below /etc'],
    ['/usr/lib/postgresql/15', 'a place below /usr'],
    ['/proc/self/cwd', 'a place below /proc'],
    ['/root', 'a home'],
    ['/home/ann', 'a home'],
    ['/home/nobody-knows-me', 'the home of a user whom no file names'],
    ['/Users/ann', 'a home on macOS'],
    ['/var/lib/postgresql', 'the home of the user postgres'],
    ['/opt/node', 'a directory that this program runs from'],
    ['/srv/spoke/checkout', 'the working directory'],
    ['/srv/spoke', 'an ancestor of the working directory'],
  ])('%s: %s', (path) => {
    expect(whyForbidden(path, facts)).toContain(path);
  });

  it('is one that lies in another data directory', () => {
    const enclosed = { ...facts, enclosingDataDirectory: '/data/pg' };
    expect(whyForbidden('/data/pg/base/5', enclosed)).toContain('the data directory /data/pg');
  });

  it('says which home directory it would take with it', () => {
    expect(whyForbidden('/data/homes', { ...facts, homes: ['/data/homes/ann'] })).toContain('/data/homes/ann');
  });
});

describe('a directory that may be a target', () => {
  it.each([
    ['/var/lib/postgresql/15/main', 'where Debian has it'],
    ['/var/lib/pgsql/15/data', 'where RHEL has it'],
    ['/usr/local/pgsql/data', 'where PostgreSQL’s documentation has it'],
    ['/home/ann/pg', 'below a home'],
    ['/data', 'a mount point of its own'],
    ['/tmp/scratch/pg', 'below /tmp'],
    ['/dev/shm/pg', 'in memory'],
    ['/opt/node-data', 'a name that begins like the program’s'],
    ['/etcetera', 'a name that begins like a system directory’s'],
  ])('%s: %s', (path) => {
    expect(whyForbidden(path, facts)).toBeUndefined();
  });
});

describe('isInside', () => {
  it('goes by whole names', () => {
    expect(isInside('/a/bc', '/a/b')).toBe(false);
    expect(isInside('/a/b/c', '/a/b')).toBe(true);
    expect(isInside('/a/b', '/a/b')).toBe(false);
    expect(isInside('/a', '/')).toBe(true);
  });
});
