import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Claim, CLAIM_VERBS, type ClaimVerb, conflictRule, conflicts } from '../../../../src/domain/concurrency/matrix.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../../../docs/concurrency.md'), 'utf8');

/** The cells of the first table of the page. */
const rows = PAGE.split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
const [head = [], ...body] = rows;

function claim(verb: ClaimVerb, changes: Partial<Claim> = {}): Claim {
  return { verb, cluster: 'main', repositories: ['local'], host: 'db1', ...changes };
}

describe('the table of what may overlap', () => {
  it('is the one on the page, cell by cell', () => {
    expect(head.slice(1)).toEqual([...CLAIM_VERBS]);
    expect(body.map(([verb]) => verb)).toEqual([...CLAIM_VERBS]);
    const documented = body.map((row) => row.slice(1));
    expect(documented).toEqual(CLAIM_VERBS.map((one) => CLAIM_VERBS.map((other) => conflictRule(one, other))));
  });

  it('says the same of a pair whichever comes first', () => {
    for (const one of CLAIM_VERBS) for (const other of CLAIM_VERBS) expect(conflictRule(one, other)).toBe(conflictRule(other, one));
  });

  it('lets nothing but a daemon keep away a daemon', () => {
    for (const verb of CLAIM_VERBS) expect(conflictRule('daemon', verb)).toBe(verb === 'daemon' ? 'always' : 'never');
  });
});

describe('two claims', () => {
  it.each<[string, Claim, Claim, boolean]>([
    ['backups into one repository', claim('backup'), claim('backup'), true],
    ['backups into different ones', claim('backup'), claim('backup', { repositories: ['s3'] }), false],
    ['backups of different clusters', claim('backup'), claim('backup', { cluster: 'other' }), false],
    ['an expiry and a restore that may read there', claim('expire'), claim('restore-beside', { repositories: ['s3', 'local'] }), true],
    ['an expiry and a restore that reads elsewhere', claim('expire'), claim('restore-beside', { repositories: ['s3'] }), false],
    ['a failover and a backup anywhere', claim('failover', { repositories: [] }), claim('backup', { repositories: ['s3'] }), true],
    [
      'restores into one directory, also of different clusters',
      claim('restore-beside', { dataDirectory: '/data' }),
      claim('restore-in-place', { dataDirectory: '/data', cluster: 'other' }),
      true,
    ],
    [
      'restores into directories of one name on two hosts',
      claim('restore-beside', { dataDirectory: '/data' }),
      claim('restore-beside', { dataDirectory: '/data', host: 'db2' }),
      false,
    ],
    ['restores into different directories', claim('drill', { dataDirectory: '/a' }), claim('drill', { dataDirectory: '/b' }), false],
    ['restores in place of two clusters', claim('restore-in-place'), claim('restore-in-place', { cluster: 'other' }), false],
  ])('%s', (_what, one, other, expected) => {
    expect(conflicts(one, other)).toBe(expected);
    expect(conflicts(other, one)).toBe(expected);
  });
});
