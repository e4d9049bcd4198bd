import { describe, expect, it } from 'vitest';
import { hasDamagedControlFile, parseControlData } from '../../../src/adapters/instance/control-data.ts';
import { formatLsn } from '../../../src/domain/postgres/lsn.ts';

/** As pg_controldata of PostgreSQL 15 prints it, lines without use here left out. */
const output = `pg_control version number:            1300
Catalog version number:               202209061
Database system identifier:           18446744073709551615
Database cluster state:               in archive recovery
pg_control last modified:             Sun Nov 22 22:39:51 2026
Latest checkpoint location:           FF/15118A0
Latest checkpoint's REDO location:    FF/1511868
Latest checkpoint's REDO WAL file:    00000003000000FF00000001
Latest checkpoint's TimeLineID:       3
Latest checkpoint's PrevTimeLineID:   3
Minimum recovery ending location:     0/0
Min recovery ending loc's timeline:   0
wal_level setting:                    replica
max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           0
max_locks_per_xact setting:           64
track_commit_timestamp setting:       off
Bytes per WAL segment:                67108864
Data page checksum version:           1
Mock authentication nonce:            e1f4
`;

describe('pg_controldata', () => {
  it('is read without losing a digit of the 64-bit system identifier', () => {
    expect(parseControlData(output).systemIdentifier).toBe(2n ** 64n - 1n);
  });

  it('tells state, timeline, positions, segment size and checksums', () => {
    const control = parseControlData(output);
    expect(control).toMatchObject({ state: 'in archive recovery', timeline: 3, walSegmentSizeBytes: 67108864, dataChecksums: true });
    expect([formatLsn(control.checkpointLsn), formatLsn(control.redoLsn)]).toEqual(['FF/15118A0', 'FF/1511868']);
  });

  it('names the standby settings as postgresql.conf does', () => {
    expect(parseControlData(output).standbySettings).toEqual({
      max_connections: '100',
      max_worker_processes: '8',
      max_wal_senders: '10',
      max_prepared_transactions: '0',
      max_locks_per_transaction: '64',
    });
  });

  it('refuses output that lacks a line', () => {
    expect(() => parseControlData(output.replace(/^Database cluster state.*\n/m, ''))).toThrow('Database cluster state');
  });

  it('does not count where it warns of a wrong checksum', () => {
    expect(hasDamagedControlFile(output)).toBe(false);
    const warning = 'pg_controldata: warning: Calculated CRC checksum does not match value stored in file.\n';
    expect(hasDamagedControlFile(warning + output)).toBe(true);
  });
});
