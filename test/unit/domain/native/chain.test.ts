import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BackupLabel, RepositoryName } from '../../../../src/domain/catalog/base-backup.ts';
import type { BackupRecord } from '../../../../src/domain/native/backup-record.ts';
import {
  type ChainServer,
  decideChain,
  type Holdings,
  MAX_CHAIN_LENGTH,
  reasonHistoriesDiffer,
  reasonManifestUnfit,
  reasonUnfitAsChain,
} from '../../../../src/domain/native/chain.ts';
import type { Manifest } from '../../../../src/domain/native/manifest.ts';
import { lsnOf } from '../../../../src/domain/postgres/lsn.ts';
import { parseSystemIdentifier } from '../../../../src/domain/postgres/system-identifier.ts';
import { parseTimelineHistory } from '../../../../src/domain/postgres/timeline-history.ts';
import { timelineIdOf } from '../../../../src/domain/postgres/timeline.ts';
import { instantOfSeconds } from '../../../../src/domain/time/instant.ts';

const ONE = 'one' as RepositoryName;
const TWO = 'two' as RepositoryName;
const IDENTIFIER = parseSystemIdentifier('7711966097522495504');
const ANOTHER = parseSystemIdentifier('7711966097522495505');

const server: ChainServer = {
  postgresMajor: 17,
  systemIdentifier: IDENTIFIER,
  inRecovery: false,
  timeline: timelineIdOf(1),
  lsn: lsnOf(0x9000_0000n),
  walSegmentSizeBytes: 16_777_216,
  settings: { summarize_wal: 'on', wal_level: 'replica', data_checksums: 'on' },
};

/** The nth backup of a chain that began with a full one. */
function recordAt(position: number, changes: Partial<BackupRecord> = {}): BackupRecord {
  const labels = Array.from({ length: position }, (_, index) => labelAt(index));
  const prior = labels.at(-1);
  return {
    ...{
      layoutVersion: 1,
      label: labelAt(position),
      type: prior === undefined ? 'full' : 'incr',
      references: labels,
      runId: `r${position}`,
    },
    ...(prior === undefined ? {} : { prior }),
    ...{ systemIdentifier: IDENTIFIER, postgresMajor: 17, walSegmentBytes: 16_777_216, timeline: timelineIdOf(1) },
    ...{ startLsn: lsnOf(BigInt(position + 1) * 0x100_0000n + 0x28n), stopLsn: lsnOf(BigInt(position + 1) * 0x100_0000n + 0x120n) },
    ...{ startTime: instantOfSeconds(1_800_000_000 + position * 60), stopTime: instantOfSeconds(1_800_000_030 + position * 60) },
    ...{ databaseBytes: 1000n, fileBytes: 1000n, storedBytes: 100n, dataChecksums: true, hasPageErrors: false },
    ...{ source: { node: 'a', inRecovery: false }, compressType: 'zst', recipients: [], archives: [], madeBy: [] },
    ...changes,
  };
}

function labelAt(position: number): BackupLabel {
  const second = String(position).padStart(2, '0');
  return (position === 0 ? '20261125-000000F' : `20261125-000000F_20261125-0100${second}I`) as BackupLabel;
}

const chainOf = (length: number) => Array.from({ length }, (_, position) => recordAt(position));
const held = (records: readonly BackupRecord[], repository = ONE): Holdings => ({ repository, records });
const decide = (records: readonly BackupRecord[], changes: Partial<ChainServer> = {}) =>
  decideChain('incr', { ...server, ...changes }, [held(records)]);
const reasonOf = (decision: ReturnType<typeof decideChain>) => (decision.kind === 'full' ? decision.reason : 'incremental');

describe('an incremental backup', () => {
  it('is relative to the newest backup, and needs all that this one needs', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_CHAIN_LENGTH - 1 }), (length) => {
        const records = chainOf(length);
        const decision = decide(records);
        if (decision.kind !== 'incr') return expect.unreachable(decision.reason);
        expect(decision.chain.prior.label).toBe(labelAt(length - 1));
        expect(decision.chain.references).toEqual(records.map(({ label }) => label));
      }),
    );
  });

  it('makes a chain that can be restored, from which whatever is taken away or put in another order cannot', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 8 }), fc.nat(), fc.nat(), (length, one, other) => {
        const records = chainOf(length);
        expect(reasonUnfitAsChain(records)).toBeUndefined();
        const [from, to] = [one % length, other % length];
        if (from !== to) expect(reasonUnfitAsChain(swapped(records, from, to))).toBeDefined();
        // Without its last one it is a chain as well.
        if (from < length - 1) expect(reasonUnfitAsChain(records.filter((_, index) => index !== from))).toBeDefined();
      }),
    );
  });

  it('becomes a full one whatever single thing is amiss anywhere in the chain', () => {
    const amiss: readonly Partial<BackupRecord>[] = [
      { hasPageErrors: true },
      { source: { node: 'b', inRecovery: true } },
      { timeline: timelineIdOf(2) },
      { systemIdentifier: ANOTHER },
      { dataChecksums: false },
      { postgresMajor: 18 },
      { startLsn: lsnOf(0xffff_ffff_0000n), stopLsn: lsnOf(0xffff_ffff_1000n) },
      { prior: '20261124-000000F' as BackupLabel },
    ];
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.nat(), fc.constantFrom(...amiss), (length, where, changes) => {
        const records = chainOf(length);
        const place = where % length;
        const changed = records.map((record, index) => (index === place ? { ...record, ...changes } : record));
        expect(decide(changed).kind).toBe('full');
      }),
    );
  });

  it.each([
    { why: 'PostgreSQL 16 has no incremental backups; 17 and later have', changes: { postgresMajor: 16 } },
    { why: 'an incremental backup is taken from a primary only', changes: { inRecovery: true } },
    { why: 'summarize_wal is off', changes: { settings: { ...server.settings, summarize_wal: 'off' } } },
    { why: 'with wal_level=minimal WAL is not summarized', changes: { settings: { ...server.settings, wal_level: 'minimal' } } },
    {
      why: '20261125-000000F is of timeline 1, and the server is on 2: a chain never crosses a change of timeline',
      changes: { timeline: timelineIdOf(2) },
    },
    {
      why: '20261125-000000F is of another cluster: its system identifier is 7711966097522495504, that of the server 7711966097522495505',
      changes: { systemIdentifier: ANOTHER },
    },
    {
      why: '20261125-000000F ends at 0/1000120, and the server is only at 0/1000000: it was set back',
      changes: { lsn: lsnOf(0x100_0000n) },
    },
    {
      why: 'data checksums were switched off since 20261125-000000F',
      changes: { settings: { ...server.settings, data_checksums: 'off' } },
    },
    { why: '20261125-000000F was taken with another size of WAL segments', changes: { walSegmentSizeBytes: 1_048_576 } },
    { why: '20261125-000000F is of PostgreSQL 17, the server is 18', changes: { postgresMajor: 18 } },
  ])('becomes a full one, and says: $why', ({ why, changes }) => {
    expect(reasonOf(decide([recordAt(0)], changes))).toBe(why);
  });

  it('becomes a full one where there is nothing yet, and where a chain is as long as a restore can bear', () => {
    expect(reasonOf(decide([]))).toBe('repository one has no backup yet that it could be relative to');
    expect(reasonOf(decide(chainOf(MAX_CHAIN_LENGTH)))).toContain(`is the last of ${MAX_CHAIN_LENGTH} backups that hang together`);
  });

  it('into several repositories is relative to the newest backup that is in each of them', () => {
    const records = chainOf(3);
    const decision = decideChain('incr', server, [held(records), held(records.slice(0, 2), TWO)]);
    expect(decision.kind === 'incr' && decision.chain.prior.label).toBe(labelAt(1));
    expect(reasonOf(decideChain('incr', server, [held(records), held([], TWO)]))).toBe(
      'repository two has no backup yet that it could be relative to',
    );
    const foreign = [recordAt(0, { runId: 'of another run', label: labelAt(0) })];
    expect(reasonOf(decideChain('incr', server, [held(records.slice(0, 1)), held(foreign, TWO)]))).toBe(
      'no backup is in each of the repositories one, two',
    );
  });

  it('becomes a full one where one of the repositories has lost what the prior needs', () => {
    const records = chainOf(3);
    const lost = records.filter((_, index) => index !== 1);
    expect(reasonOf(decideChain('incr', server, [held(records), held(lost, TWO)]))).toBe(
      `${labelAt(2)} needs ${labelAt(1)}, which is not in repository two`,
    );
  });
});

describe('a differential backup', () => {
  it('is relative to the newest full one', () => {
    const decision = decideChain('diff', server, [held(chainOf(4))]);
    expect(decision.kind === 'incr' && decision.chain.references).toEqual([labelAt(0)]);
  });
});

describe('the history of a timeline', () => {
  const two = timelineIdOf(2);
  const historyAt = (lsn: string) => parseTimelineHistory(`1\t${lsn}\tno recovery target specified\n`, two);

  it('need not be known of timeline 1, which has none', () => {
    expect(reasonHistoriesDiffer(timelineIdOf(1), undefined, undefined)).toBeUndefined();
  });

  it('has to be the same on the server and in the archive: two servers may each have made a timeline 2', () => {
    expect(reasonHistoriesDiffer(two, historyAt('0/3000000'), historyAt('0/3000000'))).toBeUndefined();
    expect(reasonHistoriesDiffer(two, historyAt('0/3000000'), historyAt('0/4000000'))).toBe(
      'timeline 2 of the server is another one than that of the archive: 1 to 0/3000000, and there 1 to 0/4000000',
    );
  });

  it('that cannot be seen counts as another one', () => {
    expect(reasonHistoriesDiffer(two, undefined, historyAt('0/3000000'))).toBe('the server does not show the history of timeline 2');
    expect(reasonHistoriesDiffer(two, historyAt('0/3000000'), undefined)).toBe('the history of timeline 2 is not in the archive');
  });
});

describe('the manifest of the backup that another is relative to', () => {
  const prior = recordAt(0);
  const range = { timeline: prior.timeline, startLsn: prior.startLsn, endLsn: prior.stopLsn };
  const manifest: Manifest = {
    ...{ version: 2, systemIdentifier: IDENTIFIER, fileCount: 1, incrementalFileCount: 0, fileBytes: 1n, walRanges: [range], checksum: '' },
  };

  it('says what its record says', () => {
    expect(reasonManifestUnfit(prior, manifest)).toBeUndefined();
  });

  it.each([
    { why: 'of a version without an identity', changes: { version: 1 as const } },
    { why: 'of another cluster', changes: { systemIdentifier: ANOTHER } },
    { why: 'of a backup during which the timeline changed', changes: { walRanges: [range, { ...range, timeline: timelineIdOf(2) }] } },
    { why: 'without WAL', changes: { walRanges: [] } },
    { why: 'of another timeline', changes: { walRanges: [{ ...range, timeline: timelineIdOf(2) }] } },
    { why: 'of another beginning', changes: { walRanges: [{ ...range, startLsn: lsnOf(0x28n) }] } },
  ])('is refused where it is $why', ({ changes }) => {
    expect(reasonManifestUnfit(prior, { ...manifest, ...changes })).toBeDefined();
  });
});

function swapped<T>(list: readonly T[], one: number, other: number): readonly T[] {
  return list.map((item, index) => (index === one ? (list[other] ?? item) : index === other ? (list[one] ?? item) : item));
}
