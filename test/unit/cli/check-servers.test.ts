import { describe, expect, it } from 'vitest';
import { serverFindings } from '../../../src/cli/check-servers.ts';
import type { ServerObservation } from '../../../src/ports/postgres-server.ts';

const SETTINGS = { wal_level: 'replica', max_wal_senders: '10', summarize_wal: 'on' };

const said = (changes: Partial<ServerObservation>) =>
  serverFindings(
    { settings: SETTINGS, postgresMajor: 17, mayReplicate: true, replication: [], ...changes } as ServerObservation,
    'node',
  ).map(({ severity, message }) => `${severity} ${message}`);

describe('a server that native backups are taken of', () => {
  it('is fit as it is by default, with summaries', () => {
    expect(said({})).toEqual([]);
  });

  it.each([
    ['a role that may not replicate', { mayReplicate: false }, 'error its role may not replicate'],
    ['a wal_level of minimal', { settings: { ...SETTINGS, wal_level: 'minimal' } }, 'error its wal_level is minimal'],
    ['no WAL senders', { settings: { ...SETTINGS, max_wal_senders: '0' } }, 'error 0 of its 0 WAL senders are taken'],
    ['no summaries on PostgreSQL 17', { settings: { ...SETTINGS, summarize_wal: 'off' } }, 'warning its summarize_wal is off'],
  ])('is found to have %s', (_name, changes, expected) => {
    const [first, ...more] = said(changes);
    expect(first).toContain(expected);
    expect(more).toEqual([]);
  });

  it('has no summaries before PostgreSQL 17, and nobody asks for them', () => {
    expect(said({ postgresMajor: 16, settings: { wal_level: 'replica', max_wal_senders: '10' } })).toEqual([]);
  });
});
