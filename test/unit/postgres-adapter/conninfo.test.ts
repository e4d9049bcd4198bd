import { describe, expect, it } from 'vitest';
import { parseConninfo } from '../../../src/adapters/postgres/conninfo.ts';

describe('a connection string', () => {
  it.each([
    ['host=10.0.1.10 port=5432 user=replicator password=secret', { host: '10.0.1.10', port: 5432, user: 'replicator' }],
    [`user='a \\'b\\\\' host = db1`, { user: `a 'b\\`, host: 'db1' }],
    [`password='x host=evil' host=db1`, { host: 'db1' }],
    [`host='' hostaddr=10.0.0.9 port=5432`, { host: '10.0.0.9', port: 5432 }],
    ['postgresql://repl:secret@db1:6543/x?application_name=b', { host: 'db1', port: 6543, user: 'repl' }],
    ['postgresql:///x?host=/run/postgresql&port=5433', { host: '/run/postgresql', port: 5433 }],
    ['host=db1,db2 port=5432,5433', { host: 'db1,db2' }],
    ['', {}],
  ])('%j names %j, and nothing secret', (text, expected) => expect(parseConninfo(text)).toEqual(expected));
});
