import { describe, expect, it } from 'vitest';
import { reasonForFull } from '../../../src/adapters/native/incremental/reason-for-full.ts';

// As pg_basebackup 17 printed them; the texts of the rest are those of PostgreSQL 17's source.
const initiate = (text: string) =>
  `pg_basebackup: error: could not initiate base backup: ERROR:  ${text}\npg_basebackup: removing data directory "d"`;

describe('what pg_basebackup fails with', () => {
  it.each([
    'incremental backups cannot be taken unless WAL summarization is enabled',
    'WAL summaries are required on timeline 1 from 0/2000028 to 0/5000028, but the summaries for that timeline and LSN range are incomplete',
    'WAL summaries are required on timeline 1 from 0/2000028 to 0/5000028, but no summaries for that timeline and LSN range exist',
    'manifest requires WAL from final timeline 1 ending at 0/5000120, but this backup starts at 0/5000028',
    'manifest requires WAL from initial timeline 2 starting at 0/2000028, but that timeline begins at 0/3000000',
    "timeline 2 found in manifest, but not in this server's history",
    'WAL summarization is not progressing',
    'could not open file "pg_wal/summaries/0000000100000000020000280000000002000120.summary": No such file or directory',
  ])('means that only a full backup can be taken: %s', (text) => {
    expect(reasonForFull(initiate(text))).toBe(`PostgreSQL refused: ${text}`);
  });

  it('means that as well where the manifest itself is refused', () => {
    const said = 'system identifier in backup manifest is 1, but database system identifier is 2';
    expect(reasonForFull(`pg_basebackup: error: could not upload manifest: ERROR:  ${said}\n`)).toBe(`PostgreSQL refused: ${said}`);
    expect(reasonForFull('pg_basebackup: error: server does not support incremental backup')).toBe(
      'PostgreSQL refused: server does not support incremental backup',
    );
  });

  it.each([
    'pg_basebackup: error: connection to server on socket "/s" failed: FATAL:  the database system is shutting down',
    'pg_basebackup: error: could not upload manifest: server closed the connection unexpectedly',
    initiate('canceling statement due to user request'),
    'pg_basebackup: error: could not write to file "base.tar": No space left on device',
    'WARNING:  still waiting for WAL summarization through 0/5000028 after 10 seconds',
  ])('means nothing of the kind: %s', (text) => {
    expect(reasonForFull(text)).toBeUndefined();
  });
});
