import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { connectionTargetOf, describeTarget, tlsOptionsOf } from '../../../src/adapters/postgres/connection-target.ts';

const target = (url: string) => connectionTargetOf({ kind: 'url', url });

describe('a connection URL', () => {
  it('is read as libpq does', () => {
    expect(target('postgresql://backup:pw@db.example:6432/app?sslmode=require')).toEqual({
      host: 'db.example',
      port: 6432,
      user: 'backup',
      password: 'pw',
      database: 'app',
      tlsMode: 'require',
    });
  });

  it('has the port 5432 and the user’s name as its database where it says nothing', () => {
    expect(target('postgres://backup@db')).toMatchObject({ port: 5432, database: 'backup', tlsMode: 'prefer' });
  });

  it('can name a socket directory as its host, where there is no TLS', () => {
    const expected = { host: '/run/postgresql', port: 5433, tlsMode: 'disable' };
    expect(target('postgresql://u@%2Frun%2Fpostgresql:5433/db')).toMatchObject(expected);
    expect(target('postgresql:///db?host=/run/postgresql&port=5433&user=u')).toMatchObject({ ...expected, user: 'u', database: 'db' });
  });

  it('can name an IPv6 address', () => {
    expect(target('postgresql://u@[::1]:5433/db').host).toBe('::1');
  });

  it('carries any user, password and database once they are percent-encoded', () => {
    const name = fc.string({ unit: 'binary', minLength: 1 }).filter((text) => text.isWellFormed() && !text.includes('\0'));
    fc.assert(
      fc.property(name, name, name, (user, password, database) => {
        const encoded = [user, password, database].map(encodeURIComponent);
        // A URL parser takes these two names of a database for steps in a path.
        fc.pre(!['.', '..'].includes(database));
        expect(target(`postgresql://${encoded[0]}:${encoded[1]}@db/${encoded[2]}`)).toMatchObject({ user, password, database });
      }),
    );
  });

  it.each([
    ['postgresql://u:se/cret@db/x', 'write / as %2F'],
    ['postgresql://u:se%cret@db/x', 'write it as %25'],
    ['mysql://u:secret@db/x', 'postgresql://'],
    ['host=db password=secret', 'postgresql://'],
    ['postgresql://u:secret@a,b/x', 'several hosts'],
    ['postgresql://u:secret@a/x?sslmode=yes', 'sslmode'],
    ['postgresql://u:secret@a/x?port=70000', 'port'],
  ])('%s is refused, and the password is not repeated', (url, why) => {
    const attempt = () => target(url);
    expect(attempt).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(why) }));
    expect(attempt).not.toThrow(/secret|se.cret/);
  });

  it('is described without its password', () => {
    expect(describeTarget(target('postgresql://u:secret@[::1]:5433/db'))).toBe('PostgreSQL at [::1]:5433, database "db", user "u"');
  });
});

describe('sslmode', () => {
  const options = (mode: string) => tlsOptionsOf(target(`postgresql://u@db/x?sslmode=${mode}`));

  it.each(['prefer', 'require'])('%s encrypts and does not check the certificate', async (mode) => {
    expect(await options(mode)).toMatchObject({ rejectUnauthorized: false });
  });

  it('verify-ca checks the chain and not the name', async () => {
    const found = await options('verify-ca');
    expect(found.rejectUnauthorized).toBe(true);
    expect(found.checkServerIdentity).toBeTypeOf('function');
  });

  it('verify-full checks both', async () => {
    const found = await options('verify-full');
    expect(found.rejectUnauthorized).toBe(true);
    expect(found.checkServerIdentity).toBeUndefined();
  });

  it('names the certificate file that cannot be read', async () => {
    const missing = target('postgresql://u@db/x?sslmode=verify-ca&sslrootcert=/nowhere/root.crt');
    await expect(tlsOptionsOf(missing)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('/nowhere/root.crt'),
    });
  });
});
