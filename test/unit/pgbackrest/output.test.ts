import { describe, expect, it } from 'vitest';
import { readInfo, readRepositoryList } from '../../../src/adapters/pgbackrest/output.ts';
import { readNewLabel, readProgress } from '../../../src/adapters/pgbackrest/progress.ts';
import { readVerifyReport } from '../../../src/adapters/pgbackrest/verify-report.ts';
import { SpokeError } from '../../../src/errors.ts';

// All printed by pgBackRest 2.45 with PostgreSQL 15, paths shortened.
const INFO =
  '[{"archive":[{"database":{"id":1,"repo-key":2},"id":"15-1","max":"000000010000000000000007","min":"000000010000000000000001"}],"backup":[{"annotation":{"spoke-run":"abc2"},"archive":{"start":"000000010000000000000005","stop":"000000010000000000000005"},"backrest":{"format":5,"version":"2.45"},"database":{"id":1,"repo-key":2},"database-ref":[{"name":"postgres","oid":5}],"error":false,"info":{"delta":5185823,"repository":{"delta":1126003,"size":5406901},"size":26867508},"label":"20261122-221437F_20261122-221509I","link":null,"lsn":{"start":"0/5000028","stop":"0/5000100"},"prior":"20261122-221437F","reference":["20261122-221437F"],"tablespace":[{"destination":"/ts1","name":"ts1","oid":16384}],"timestamp":{"start":1795385709,"stop":1795385710},"type":"incr"}],"cipher":"none","db":[{"id":1,"repo-key":2,"system-id":7711122754862295047,"version":"15"}],"name":"demo","repo":[{"cipher":"none","key":2,"status":{"code":0,"message":"ok"}}],"status":{"code":0,"lock":{"backup":{"held":false}},"message":"ok"}}]';
const LISTING =
  '{".":{"type":"path"},"0000000100000000":{"type":"path"},"0000000100000000/000000010000000000000001-746ca6de53f868777220852287bde1ff16dda41c.lz4":{"type":"file","size":2284745,"time":1795385677},"0000000100000000/000000010000000000000002.00000028.backup":{"type":"file","size":371,"time":1795385679}}';
const SOUND = `stanza: demo
status: ok
  archiveId: 15-1, total WAL checked: 7, total valid WAL: 7
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261122-221437F, status: valid, total files checked: 964, total valid files: 964
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
`;
const DAMAGED = `stanza: demo
status: error
  archiveId: 15-1, total WAL checked: 6, total valid WAL: 5
    missing: 0, checksum invalid: 0, size invalid: 0, other: 1
  backup: 20261122-221437F, status: invalid, total files checked: 964, total valid files: 962
    missing: 1, checksum invalid: 1, size invalid: 0, other: 0
`;

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof SpokeError) return thrown.code;
    throw thrown;
  }
  return 'nothing thrown';
}

describe('info', () => {
  it('keeps every digit of a system identifier, which is above 2^53', () => {
    expect(readInfo(INFO, 'demo')?.db).toEqual([{ id: 1, 'system-id': '7711122754862295047', version: '15' }]);
  });

  it('reads a small system identifier as text too', () => {
    expect(readInfo(INFO.replace('7711122754862295047', '42'), 'demo')?.db[0]?.['system-id']).toBe('42');
  });

  it('reads backups with their tablespaces', () => {
    const backup = readInfo(INFO, 'demo')?.backup[0];
    expect(backup).toMatchObject({
      label: '20261122-221437F_20261122-221509I',
      type: 'incr',
      lsn: { start: '0/5000028', stop: '0/5000100' },
    });
    expect(backup?.tablespace).toEqual([{ oid: 16384, name: 'ts1', destination: '/ts1' }]);
  });

  it('knows no other stanza', () => {
    expect(readInfo(INFO, 'other')).toBeUndefined();
  });

  it('reads a message that quotes a binary file as it is', () => {
    const garbled = INFO.replace('"message":"ok"', '"message":"line 1: i\u0001\u001b\u007f\ufffd"');
    expect(readInfo(garbled, 'demo')?.repo[0]?.status.code).toBe(0);
  });

  it.each(['', 'null', '{}', '[{"name":"demo"}]', INFO.slice(0, 300)])('fails on what it does not know: %#', (json) => {
    expect(codeOf(() => readInfo(json, 'demo'))).toBe('TOOL_FAILED');
  });
});

describe('repo-ls', () => {
  it('lists files, and no folders', () => {
    expect(readRepositoryList(LISTING).files).toEqual([
      { name: '0000000100000000/000000010000000000000001-746ca6de53f868777220852287bde1ff16dda41c.lz4', time: 1795385677 },
      { name: '0000000100000000/000000010000000000000002.00000028.backup', time: 1795385679 },
    ]);
  });

  it('lists nothing where nothing is', () => {
    expect(readRepositoryList('{".":{"type":"path"}}').files).toEqual([]);
  });

  it.each(['', '[]', '"x"', '{"a":1}', LISTING.slice(0, 100)])('fails on what it does not know: %#', (json) => {
    expect(codeOf(() => readRepositoryList(json))).toBe('TOOL_FAILED');
  });
});

describe('verify', () => {
  it('finds nothing in a sound repository', () => {
    expect(readVerifyReport(SOUND)).toEqual({ ok: true, faults: [], damagedBackups: [] });
  });

  it('names each damaged archive and backup with what is wrong', () => {
    expect(readVerifyReport(DAMAGED)).toEqual({
      ok: false,
      faults: [
        'archiveId: 15-1: other: 1',
        'backup: 20261122-221437F: invalid',
        'backup: 20261122-221437F: missing: 1, checksum invalid: 1',
      ],
      damagedBackups: ['20261122-221437F'],
    });
  });

  it('does not take an error without details for soundness', () => {
    expect(readVerifyReport('stanza: demo\nstatus: error\n')).toEqual({
      ok: false,
      faults: ['status: error'],
      damagedBackups: [],
    });
  });

  it('does not take counted faults for soundness whatever the verdict says', () => {
    expect(readVerifyReport(DAMAGED.replace('status: error', 'status: ok')).ok).toBe(false);
  });

  it('does not take silence for soundness', () => {
    expect(codeOf(() => readVerifyReport(''))).toBe('TOOL_FAILED');
  });
});

describe('a line of the log', () => {
  it.each([
    ['DETAIL: backup file /data/base/5/1255 (768KB, 3.38%) checksum 552ddd82e7a9af071f81b52660675f7dc83349e0', 3.38],
    ['DETAIL: backup file /data/base/1/13399 (0B, 100.00%)', 100],
    ['DETAIL: backup file /data/a (b, 7%)/x (bundle 1/4096, 8KB, 45.20%) checksum 552ddd82e7a9af071f81b52660675f7dc83349e0', 45.2],
    ['DETAIL: match file from prior backup /data/base/5/2703 (16KB, 99.71%) checksum 552ddd82e7a9af071f81b52660675f7dc83349e0', 99.71],
    ['DETAIL: restore file /new/base/5/1255 (768KB, 1.20%) checksum 552ddd82e7a9af071f81b52660675f7dc83349e0', 1.2],
    [
      'DETAIL: restore file /new/PG_VERSION - exists and matches backup (3B, 99.90%) checksum 587b596f04f7db9c2cad3d6b87dd2b3a05de4f35',
      99.9,
    ],
    ['P01 DETAIL: restore zeroed file /new/base/5/1255 (768KB, 50%)', 50],
  ])('tells how far it is: %s', (line, percent) => {
    expect(readProgress(line)).toEqual({ phase: 'copy', percent });
  });

  it('tells what it waits for', () => {
    expect(
      readProgress('INFO: execute non-exclusive backup start: backup begins after the requested immediate checkpoint completes'),
    ).toEqual({
      phase: 'waiting for the checkpoint',
    });
  });

  it.each(['', 'INFO: full backup size = 22.1MB, file total = 964', "DETAIL: create path '/new/base'"])('tells nothing: %s', (line) => {
    expect(readProgress(line)).toBeUndefined();
  });

  it('announces the label of a complete backup', () => {
    expect(readNewLabel('INFO: new backup label = 20261122-221437F')).toBe('20261122-221437F');
    expect(readNewLabel('INFO: full backup size = 22.1MB, file total = 964')).toBeUndefined();
  });
});
