import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import pg from 'pg';
import { createPgBouncerConsole } from '../../src/adapters/postgres/pgbouncer-console.ts';
import { createPasswordVerifiers, scramVerifier } from '../../src/adapters/postgres/scram.ts';
import { ADMIN, type BouncerWorkshop, openBouncerWorkshop } from './pgbouncer-harness.ts';
import { pgbouncerContract } from './pgbouncer.contract.ts';

/** Each word holds what some file, shell or protocol takes for something else. */
const HOSTILE = [
  { user: 'plain', password: 'plain' },
  { user: 'two words', password: ' between blanks ' },
  { user: 'quote"d', password: `it's "quoted"` },
  { user: `a'postrophe`, password: String.raw`back\slash\\n` },
  { user: 'semi;colon', password: ';# comment' },
  { user: '#hash', password: '%include /etc/passwd' },
  { user: '100%', password: '100% =[pgbouncer]' },
  { user: 'Łódź', password: 'pässwörd 密码 🔑' },
  { user: '[databases]', password: '$(id) `id` ${HOME}' },
] as const;
/** What clients ask for can have plain characters alone; what it is called on the server, any. */
const DATABASES = HOSTILE.map(({ user }, index) => ({ name: `db-${index}`, database: `db ${user}` }));

const identifier = (name: string) => `"${name.replaceAll('"', '""')}"`;

async function clientOf(port: number, user: string, password: string, database: string): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, user, password, database });
  await client.connect();
  return client;
}

pgbouncerContract('PgBouncer itself', async () => {
  const prepare = [`CREATE ROLE client LOGIN PASSWORD 'secret'`, 'CREATE DATABASE app OWNER client', 'CREATE DATABASE another'];
  const place = await openBouncerWorkshop(prepare, [{ name: 'app', database: 'app' }]);
  return {
    console: createPgBouncerConsole(),
    adminUrl: place.adminUrl,
    nowhere: place.adminUrl.replace(`:${place.port}/`, `:${await place.workshop.reader.findFreePort()}/`),
    database: 'app',
    configure: (names) => place.configure(names.map((name) => ({ name, database: name }))),
    async openTransaction() {
      const client = await clientOf(place.port, 'client', 'secret', 'app');
      // What has happened to it the next query says.
      client.on('error', () => undefined);
      await client.query('BEGIN');
      await client.query('SELECT 1');
      return async () => {
        await client.query('COMMIT');
        await client.end();
      };
    },
    dispose: place.dispose,
  };
});

describe('the files that are generated for PgBouncer', () => {
  let place: BouncerWorkshop;
  beforeAll(async () => {
    const verifiers = await Promise.all(HOSTILE.map(({ password }) => createPasswordVerifiers().create(password)));
    const roles = HOSTILE.map(({ user }, index) => `CREATE ROLE ${identifier(user)} LOGIN PASSWORD '${verifiers[index] ?? ''}'`);
    const databases = DATABASES.map(({ database }) => `CREATE DATABASE ${identifier(database)}`);
    place = await openBouncerWorkshop([...roles, ...databases], DATABASES);
  });
  afterAll(() => place.dispose());

  it.each(HOSTILE)('let $user in with the password $password, through to a database of such a name', async (one) => {
    const client = await clientOf(place.port, one.user, one.password, `db-${HOSTILE.indexOf(one)}`);
    const { rows } = await client.query('SELECT current_user, current_database()');
    await client.end();
    expect(rows).toEqual([{ current_user: one.user, current_database: `db ${one.user}` }]);
  });

  it('let nobody in with another password', async () => {
    await expect(clientOf(place.port, 'plain', 'Plain', 'db-0')).rejects.toThrow(/authentication/i);
  });

  it('let the administrator in, who is no role of the server', async () => {
    const { pools } = await createPgBouncerConsole().observe(place.adminUrl, place.workshop.context);
    expect(pools.map(({ user }) => user)).toContain('pgbouncer');
    expect(await place.workshop.psql(place.server, `SELECT count(*) FROM pg_roles WHERE rolname = '${ADMIN.user}'`)).toMatch(/^0/);
  });
});

describe('a verifier', () => {
  /** RFC 7677, section 3: the example of an exchange. */
  const example = { password: 'pencil', salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), iterations: 4096 };

  it('holds the ServerKey that signs as RFC 7677 has it', async () => {
    const { createHmac } = await import('node:crypto');
    const verifier = await scramVerifier(example.password, example.salt, example.iterations);
    const serverKey = Buffer.from(verifier.split(':')[2] ?? '', 'base64');
    const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
    const message = `n=user,r=rOprNGfwEbeRWgbNEkqO,r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=${nonce}`;
    expect(createHmac('sha256', serverKey).update(message).digest('base64')).toBe('6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
  });

  it('fits its own password and no other', async () => {
    const verifiers = createPasswordVerifiers();
    const verifier = await verifiers.create('pässwörd');
    expect(await verifiers.matches(verifier, 'pässwörd')).toBe(true);
    expect(await verifiers.matches(verifier, 'passwörd')).toBe(false);
    expect(await verifiers.matches('md5abc', 'pässwörd')).toBe(false);
  });

  it('takes letters that look the same for the same (SASLprep), as RFC 4013 has it', async () => {
    const verifiers = createPasswordVerifiers();
    // RFC 4013, section 3: U+2168 is ROMAN NUMERAL NINE, U+00AD the soft hyphen.
    expect(await verifiers.matches(await verifiers.create('\u2168'), 'IX')).toBe(true);
    expect(await verifiers.matches(await verifiers.create('I\u00ADX\u00AD'), 'IX')).toBe(true);
  });
});
