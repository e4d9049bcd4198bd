import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BackupLabel } from '../../../../src/domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../../src/domain/native/backup-record.ts';
import { LAYOUT_VERSION } from '../../../../src/domain/native/layout.ts';
import {
  formatBackupRecord,
  formatClusterRecord,
  parseBackupRecord,
  parseClusterRecord,
} from '../../../../src/domain/native/record-text.ts';
import { formatSums, parseSums } from '../../../../src/domain/native/sums-text.ts';
import { lsnOf } from '../../../../src/domain/postgres/lsn.ts';
import { parseSystemIdentifier } from '../../../../src/domain/postgres/system-identifier.ts';
import { timelineIdOf } from '../../../../src/domain/postgres/timeline.ts';
import { instantOfMicros } from '../../../../src/domain/time/instant.ts';
import { SpokeError } from '../../../../src/errors.ts';

const FULL = '20261125-020003F' as BackupLabel;
const INCREMENTAL = '20261125-020003F_20261125-080002I' as BackupLabel;

const record: BackupRecord = {
  layoutVersion: 1,
  label: INCREMENTAL,
  type: 'incr',
  prior: FULL,
  references: [FULL],
  runId: 'run "1"',
  systemIdentifier: parseSystemIdentifier('18446744073709551615'),
  postgresMajor: 17,
  walSegmentBytes: 16_777_216,
  timeline: timelineIdOf(3),
  startLsn: lsnOf(0xffff_ffff_0000_0028n),
  stopLsn: lsnOf(0xffff_ffff_0000_0100n),
  startTime: instantOfMicros(1_795_582_834_793_359n),
  stopTime: instantOfMicros(1_795_582_835_000_001n),
  databaseBytes: 9_007_199_254_740_993n,
  fileBytes: 9_007_199_254_740_995n,
  storedBytes: 12n,
  dataChecksums: true,
  hasPageErrors: false,
  source: { node: 'standby-1', inRecovery: true },
  compressType: 'zst',
  recipients: ['age1abc'],
  archives: [
    { name: 'base.tar.zst.age', storedBytes: 10n },
    { name: '16400.tar.zst.age', storedBytes: 2n, tablespaceOid: 16_400, tablespaceName: "side 'ways", tablespaceLocation: '/srv/ä "b"' },
  ],
  madeBy: ['pg_basebackup (PostgreSQL) 17.12'],
};

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (thrown) {
    return thrown instanceof SpokeError ? thrown.code : String(thrown);
  }
  return undefined;
}

describe('the record of a backup', () => {
  it('comes back as it was written, to the last digit', () => {
    expect(parseBackupRecord(formatBackupRecord(record), INCREMENTAL)).toEqual(record);
  });

  it('tells why it is a full one where an incremental one was asked for', () => {
    const { prior: _, ...rest } = record;
    const full: BackupRecord = { ...rest, label: FULL, type: 'full', references: [], fullBecause: 'summarize_wal is off' };
    expect(parseBackupRecord(formatBackupRecord(full), FULL)).toEqual(full);
  });

  it('keeps every number of 64 bits', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (bytes) => {
        const one = { ...record, databaseBytes: bytes, startLsn: lsnOf(bytes) };
        expect(parseBackupRecord(formatBackupRecord(one), INCREMENTAL)).toEqual(one);
      }),
    );
  });

  it('is refused with a hint where a newer version has written it', () => {
    const newer = formatBackupRecord({ ...record, layoutVersion: LAYOUT_VERSION + 1 });
    expect(codeOf(() => parseBackupRecord(newer, INCREMENTAL))).toBe('TOOL_UNSUPPORTED');
  });

  it('is refused where it lies in the folder of another backup', () => {
    expect(() => parseBackupRecord(formatBackupRecord(record), FULL)).toThrow('it is the record of');
  });

  it.each([
    ['startLsn', '"0/"'],
    ['startTime', '"2026-11-25"'],
    ['type', '"diff"'],
    ['references', '["../../etc"]'],
    ['walSegmentBytes', '5'],
    ['timeline', '0'],
    ['databaseBytes', '9007199254740993'],
    ['hasPageErrors', '"no"'],
    ['archives', '[{"name": "../base.tar.zst", "storedBytes": "1"}]'],
    ['source', '[]'],
    ['systemIdentifier', '""'],
  ])('is refused where its %s is %s', (name, value) => {
    const damaged = { ...(JSON.parse(formatBackupRecord(record)) as object), [name]: JSON.parse(value) as unknown };
    expect(() => parseBackupRecord(JSON.stringify(damaged), INCREMENTAL)).toThrow(RangeError);
  });

  it('never throws anything else, whatever the text is', () => {
    const text = formatBackupRecord(record);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.integer({ min: 0, max: 255 }), (place, byte) => {
        const bytes = Buffer.from(text);
        bytes[place] = byte;
        try {
          parseBackupRecord(bytes.toString('utf8'), INCREMENTAL);
        } catch (thrown) {
          expect(thrown instanceof RangeError || (thrown instanceof SpokeError && thrown.code === 'TOOL_UNSUPPORTED')).toBe(true);
        }
      }),
    );
  });
});

describe('the record of a cluster', () => {
  const cluster = {
    ...{ layoutVersion: 1, cluster: 'demo', systemIdentifier: parseSystemIdentifier('7711969547607808186') },
    ...{ postgresMajor: 15, walSegmentBytes: 1_048_576 },
  };

  it('comes back as it was written', () => {
    expect(parseClusterRecord(formatClusterRecord(cluster))).toEqual(cluster);
  });

  it('is refused where a newer version has written it', () => {
    expect(codeOf(() => parseClusterRecord(formatClusterRecord({ ...cluster, layoutVersion: 2 })))).toBe('TOOL_UNSUPPORTED');
  });
});

describe('a SHA256SUMS', () => {
  const [a, b] = ['a'.repeat(64), 'b'.repeat(64)];

  it('is written as sha256sum writes it, in the order of the names', () => {
    const sums = new Map([
      ['base.tar.zst', b],
      ['backup.json', a],
    ]);
    expect(formatSums(sums)).toBe(`${a}  backup.json\n${b}  base.tar.zst\n`);
    expect(parseSums(formatSums(sums))).toEqual(sums);
  });

  it.each(['', `${a}  base.tar`, `${a} base.tar\n`, `${a}  base.tar\n\n`, `${a}  x/y\n`, `${a}  x\n${b}  x\n`, `${a.toUpperCase()}  x\n`])(
    'is refused where it is %j',
    (text) => {
      expect(() => parseSums(text)).toThrow(RangeError);
    },
  );
});
