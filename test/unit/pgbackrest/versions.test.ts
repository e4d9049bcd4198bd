import { expect, it } from 'vitest';
import { compareVersions, newestPostgres, readVersion } from '../../../src/adapters/pgbackrest/versions.ts';
import { SpokeError } from '../../../src/errors.ts';

it.each([
  ['pgBackRest 2.45\n', '2.45'],
  ['pgBackRest 2.55.1\n', '2.55.1'],
  ['pgBackRest 2.60dev\n', '2.60dev'],
  ['pgBackRest 3.0.0\n', '3.0.0'],
])('reads %j', (printed, version) => {
  expect(readVersion(printed)).toBe(version);
});

it.each(['pgBackRest 2.44', 'pgBackRest 1.29', 'barman 3.12', ''])('refuses %j', (printed) => {
  expect(() => readVersion(printed)).toThrow(SpokeError);
});

it('compares by number', () => {
  expect(compareVersions('2.9', '2.10')).toBeLessThan(0);
  expect(compareVersions('2.53.1', '2.53')).toBeGreaterThan(0);
  expect(compareVersions('2.60dev', '2.60.0')).toBe(0);
});

// From pgBackRest's release notes.
it.each([
  ['2.45', 15],
  ['2.46', 16],
  ['2.53', 16],
  ['2.53.1', 17],
  ['2.54.2', 17],
  ['2.55.1', 18],
  ['2.60.0', 18],
  ['2.61', undefined],
])('%s knows PostgreSQL up to %s', (version, newest) => {
  expect(newestPostgres(version)).toBe(newest);
});
