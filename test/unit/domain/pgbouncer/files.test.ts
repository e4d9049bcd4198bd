import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bouncerConfigurationText } from '../../../../src/domain/pgbouncer/configuration.ts';
import { parseUserList, userListText } from '../../../../src/domain/pgbouncer/user-list.ts';

const VERIFIER = `SCRAM-SHA-256$4096:c2FsdA==$${'A'.repeat(43)}=:${'B'.repeat(43)}=`;
const PLACE = { hosts: ['10.0.1.10'], port: 5432 };

function textOf(databases: Parameters<typeof bouncerConfigurationText>[0]['databases'], more: object = {}): string {
  const rest = { listenPort: 6432, userListFile: '/etc/pgbouncer/userlist.txt', adminUsers: ['postgres'], settings: {} };
  return bouncerConfigurationText({ databases, ...rest, ...more });
}

describe('pgbouncer.ini', () => {
  it('says where each database is, several hosts in one list', () => {
    const text = textOf([
      { name: 'app', database: 'app', ...PLACE },
      { name: 'app-ro', database: 'app', hosts: ['10.0.2.10', '10.0.2.11'], port: 5432 },
    ]);
    expect(text).toContain('\napp = host=10.0.1.10 port=5432 dbname=app\n');
    expect(text).toContain('\napp-ro = host=10.0.2.10,10.0.2.11 port=5432 dbname=app\n');
    expect(text).toContain('\nauth_type = scram-sha-256\n');
    expect(text).toContain('\nlisten_port = 6432\n');
  });

  it('has the name of a database on the server in quotes where it needs them', () => {
    expect(textOf([{ name: 'a', database: `it's #1;`, ...PLACE }])).toContain(`dbname='it''s #1;'`);
  });

  it('lets settings of the configuration count before its own', () => {
    const text = textOf([{ name: 'a', database: 'a', ...PLACE }], { settings: { pool_mode: 'session' } });
    expect(text).toContain('\npool_mode = session\n');
    expect(text).not.toContain('pool_mode = transaction');
  });

  it.each(['a b', 'a"b', 'a=b', '*', 'pgbouncer', 'ü', '[a', 'a\nb', ''])('offers no database by the name %j', (name) => {
    expect(() => textOf([{ name, database: 'a', ...PLACE }])).toThrow(/pgbouncer.ini cannot be written/);
  });

  it('takes no value that would begin another line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (database) => {
        let text: string;
        try {
          text = textOf([{ name: 'a', database, ...PLACE }]);
        } catch {
          return;
        }
        expect(text.split('\n').length).toBe(textOf([{ name: 'a', database: 'a', ...PLACE }]).split('\n').length);
      }),
    );
    expect(() => textOf([], { settings: { listen_addr: '*\nadmin_users = x' } })).toThrow(/control character/);
  });

  it('has no administrator whose name would be two', () => {
    expect(() => textOf([], { adminUsers: ['a, b'] })).toThrow(/administrator/);
  });
});

describe('the user list', () => {
  it('has a line a role, a quote in a name doubled', () => {
    expect(
      userListText([
        { user: 'b"x', verifier: VERIFIER },
        { user: 'a', verifier: VERIFIER },
      ]),
    ).toBe(`"a" "${VERIFIER}"\n"b""x" "${VERIFIER}"\n`);
  });

  it('reads back what it wrote, whatever the roles are called', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/\p{Cc}/u.test(text));
    fc.assert(
      fc.property(fc.uniqueArray(name), (users) => {
        const text = userListText(users.map((user) => ({ user, verifier: VERIFIER })));
        expect(new Map(parseUserList(text))).toEqual(new Map(users.map((user) => [user, VERIFIER])));
      }),
    );
  });

  it('never takes a password in clear, nor an md5 one', () => {
    for (const verifier of ['secret', 'md5' + '0'.repeat(32), ''])
      expect(() => userListText([{ user: 'a', verifier }])).toThrow(/not a SCRAM verifier/);
    expect(() => userListText([{ user: 'a\nb', verifier: VERIFIER }])).toThrow(/control character/);
  });
});
