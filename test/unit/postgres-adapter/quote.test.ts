import { describe, expect, it } from 'vitest';
import { quoteLiteral, quoteParameterName } from '../../../src/adapters/postgres/quote.ts';
import { alterSystemStatement } from '../../../src/adapters/postgres/writer.ts';

describe('ALTER SYSTEM', () => {
  it('sets and resets one setting', () => {
    expect(alterSystemStatement('archive_mode', 'on')).toBe(`ALTER SYSTEM SET "archive_mode" = 'on'`);
    expect(alterSystemStatement('archive_mode', null)).toBe('ALTER SYSTEM RESET "archive_mode"');
  });

  it('takes settings of extensions', () => {
    expect(quoteParameterName('pg_stat_statements.max')).toBe('"pg_stat_statements"."max"');
  });

  it.each(['', 'a; DROP TABLE t', 'a"b', "a'b", 'a.b.c', 'a b', '1a', 'ä', 'a\0'])('refuses the name %j', (name) => {
    expect(() => quoteParameterName(name)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });

  it.each(['shared_preload_libraries', 'Search_Path'])('refuses %s, whose value is a list of quoted names', (name) => {
    expect(() => quoteParameterName(name)).toThrow('list of quoted names');
  });
});

describe('a literal', () => {
  it.each([
    ['plain', `'plain'`],
    [`it's`, `'it''s'`],
    ['back\\slash', ` E'back\\\\slash'`],
    [`\\'; DROP TABLE t; --`, ` E'\\\\''; DROP TABLE t; --'`],
    ['', `''`],
  ])('%j', (text, expected) => {
    expect(quoteLiteral(text)).toBe(expected);
  });

  it('cannot hold a NUL byte', () => {
    expect(() => quoteLiteral('a\0b')).toThrow('NUL');
  });
});
