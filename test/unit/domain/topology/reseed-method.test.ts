import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BackupLabel, BaseBackup, RepositoryName } from '../../../../src/domain/catalog/base-backup.ts';
import type { RepositorySnapshot } from '../../../../src/domain/catalog/repository-snapshot.ts';
import { timelineIdOf } from '../../../../src/domain/postgres/timeline.ts';
import { ASSUMED_RESEED_RATES, type ReseedFacts } from '../../../../src/domain/topology/reseed-facts.ts';
import { chooseReseed } from '../../../../src/domain/topology/reseed-method.ts';
import type { ReseedOption } from '../../../../src/domain/topology/reseed-option.ts';
import { files, lsn, MIB, NOON, OTHERS, OURS } from './facts.ts';

const [ONE, TWO] = [timelineIdOf(1), timelineIdOf(2)];
const SEGMENT = 16n * MIB;
const GIB = 1024n * MIB;

/** The primary is at 100 GiB of WAL on timeline 2, which began at 90 GiB. */
const PRIMARY: ReseedFacts['primary'] = {
  node: 'a',
  systemIdentifier: OURS,
  postgresMajor: 17,
  walSegmentSizeBytes: Number(SEGMENT),
  history: { timeline: TWO, ancestors: [{ timeline: ONE, switchLsn: lsn(90n * GIB), reason: 'no recovery target specified' }] },
  flushLsn: lsn(100n * GIB),
  oldestWalLsn: lsn(99n * GIB),
  databaseBytes: 500n * GIB,
  fullPageWrites: true,
  hasFreeSender: true,
};

const BACKUP: BaseBackup = {
  label: '20261124-020000F' as BackupLabel,
  type: 'full',
  repository: 'local' as RepositoryName,
  references: [],
  systemIdentifier: OURS,
  postgresMajor: 17,
  timeline: TWO,
  startLsn: lsn(95n * GIB),
  stopLsn: lsn(96n * GIB),
  startTime: NOON,
  stopTime: NOON,
  databaseBytes: 500n * GIB,
  repositoryBytes: 200n * GIB,
  hasPageErrors: false,
  annotations: {},
};

function repository(more: Partial<RepositorySnapshot> = {}, lastLsn = 100n * GIB): RepositorySnapshot {
  const range = { timeline: TWO, firstSegment: (90n * GIB) / SEGMENT, lastSegment: lastLsn / SEGMENT - 1n };
  return {
    repository: 'local' as RepositoryName,
    kind: 'local',
    readAt: NOON,
    initialised: true,
    systemIdentifier: OURS,
    backups: [BACKUP],
    walArchive: { segmentSizeBytes: Number(SEGMENT), ranges: [range], histories: [] },
    ...more,
  };
}

const FACTS: ReseedFacts = {
  primary: PRIMARY,
  target: files({ dataChecksums: true, timeline: ONE, checkpointLsn: lsn(91n * GIB) }),
  snapshots: [repository()],
  standbys: [{ node: 'c', replayedLsn: lsn(100n * GIB), lagBytes: 0n }],
  deltaFrom: ['local'],
  rates: ASSUMED_RESEED_RATES,
};

const choose = (more: Partial<ReseedFacts> = {}, wish = {}) => chooseReseed({ ...FACTS, ...more }, wish);
const optionOf = (options: readonly ReseedOption[], method: ReseedOption['method']) => options.find((one) => one.method === method);

describe('how a standby is brought back', () => {
  it('is pg_rewind for an old primary that diverged by a little: pages and WAL since the fork', () => {
    const { chosen } = choose();
    expect(chosen).toMatchObject({ method: 'rewind', price: { bytesMoved: 11n * GIB, primaryBytes: 11n * GIB } });
    expect(chosen?.reason).toBe(`it has 1.0 GiB of WAL that the primary has not, from 16/80000000 on`);
  });

  it('is pg_rewind for one that crashed with its last checkpoint before the fork: where its WAL ends is not known, and not "nowhere"', () => {
    const target = files({ dataChecksums: true, state: 'in production', timeline: ONE, checkpointLsn: lsn(89n * GIB) });
    expect(choose({ target }).chosen).toMatchObject({ method: 'rewind', reason: expect.stringContaining('it crashed') });
  });

  it('counts with all of pg_wal for pg_rewind, which copies it whole, and takes another way where that is more than the rest', () => {
    const price = (walBytes: bigint) => optionOf(choose({ primary: { ...PRIMARY, walBytes } }).options, 'rewind');
    expect(price(4n * GIB)).toMatchObject({ price: { bytesMoved: 11n * GIB } });
    expect(price(64n * GIB)).toMatchObject({ price: { bytesMoved: 65n * GIB } });
    expect(choose({ primary: { ...PRIMARY, walBytes: 900n * GIB } }).chosen?.method).not.toBe('rewind');
  });

  it.each([
    ['without checksums and hints', { target: files({ timeline: ONE, checkpointLsn: lsn(91n * GIB) }) }, 'neither data checksums nor'],
    ['where there is no data directory', { target: undefined }, 'no data directory'],
    ['of another cluster', { target: files({ dataChecksums: true, systemIdentifier: OTHERS }) }, 'of another cluster'],
    ['that a server runs on', { target: files({ dataChecksums: true, isRunning: true }) }, 'a server runs on it'],
    ['whose WAL of the fork is gone', { targetOldestWalLsn: lsn(90n * GIB + 1n), snapshots: [] }, 'neither in its pg_wal nor'],
    ['with full_page_writes off', { primary: { ...PRIMARY, fullPageWrites: false } }, 'full_page_writes is off'],
    [
      'that is ahead on the same timeline, which pg_rewind would not notice',
      { target: files({ dataChecksums: true, timeline: TWO, checkpointLsn: lsn(101n * GIB) }) },
      'further than the primary',
    ],
  ])('is not pg_rewind of a target %s', (_what, more, why) => {
    const { target, ...rest } = { ...FACTS, ...(more as Partial<ReseedFacts>) };
    const { chosen, options } = chooseReseed(target === undefined ? rest : { ...rest, target });
    expect(optionOf(options, 'rewind')).toMatchObject({ kind: 'refused', reason: expect.stringContaining(why) });
    expect(chosen?.method).not.toBe('rewind');
  });

  it('is a copy of another standby where nothing is left of the old one and no repository helps: the primary is spared', () => {
    const { target: _gone, ...rest } = FACTS;
    const { chosen } = chooseReseed({ ...rest, snapshots: [] });
    expect(chosen).toMatchObject({ method: 'basebackup', source: { kind: 'standby', name: 'c' }, price: { primaryBytes: 0n } });
  });

  it('is no restore where WAL is missing between the archive and the primary', () => {
    const { options } = choose({ snapshots: [repository({}, 98n * GIB)] });
    expect(optionOf(options, 'backup')).toMatchObject({ kind: 'refused', reason: expect.stringContaining('is missing') });
    expect(optionOf(choose({ snapshots: [repository({}, 99n * GIB)] }).options, 'backup')).toMatchObject({ kind: 'possible' });
  });

  it('is no restore where the archive has a newer timeline than the primary: the standby would follow that', () => {
    const stray = { timeline: timelineIdOf(3), firstSegment: 1n, lastSegment: 1n };
    const { walArchive } = repository();
    if (walArchive === undefined) throw new Error('there is no archive');
    const { options } = choose({ snapshots: [repository({ walArchive: { ...walArchive, ranges: [...walArchive.ranges, stray] } })] });
    for (const method of ['delta', 'backup'] as const)
      expect(optionOf(options, method)).toMatchObject({ kind: 'refused', reason: expect.stringContaining('has timeline 3') });
  });

  it('is no restore of a backup of an abandoned history', () => {
    const abandoned = { ...BACKUP, timeline: ONE };
    const { options } = choose({ snapshots: [repository({ backups: [abandoned] })] });
    expect(optionOf(options, 'backup')).toMatchObject({ kind: 'refused', reason: 'no backup lies on the way to timeline 2' });
  });

  it('is what was asked for, and nothing else where that is refused', () => {
    expect(choose({}, { method: 'basebackup', from: 'primary' }).chosen?.source).toEqual({ kind: 'primary', name: 'a' });
    expect(choose({}, { from: 'local' }).chosen?.source?.kind).toBe('repository');
    expect(choose({}, { from: 'c' }).chosen).toMatchObject({ method: 'basebackup', source: { kind: 'standby', name: 'c' } });
    const refused = choose({ primary: { ...PRIMARY, fullPageWrites: false } }, { method: 'rewind' });
    expect(refused.chosen).toBeUndefined();
    expect(refused.reason).toContain('full_page_writes is off');
    expect(choose({}, { from: 'nobody' }).reason).toBe('there is no such method and source');
    expect(choose({}, { from: 's3' }).reason).toBe('there is no such method and source');
  });

  it('is never one that is refused, and none of the possible ones moves less', () => {
    const anyFacts = fc.record({
      hasTarget: fc.boolean(),
      dataChecksums: fc.boolean(),
      timeline: fc.constantFrom(ONE, TWO),
      checkpoint: fc.bigInt(80n, 110n),
      freeGib: fc.option(fc.bigInt(0n, 1000n), { nil: undefined }),
      archivedGib: fc.bigInt(91n, 100n),
      canDelta: fc.boolean(),
      lagGib: fc.bigInt(0n, 100n),
    });
    fc.assert(
      fc.property(anyFacts, (any) => {
        const { target: _none, ...rest } = FACTS;
        const target = files({ dataChecksums: any.dataChecksums, timeline: any.timeline, checkpointLsn: lsn(any.checkpoint * GIB) });
        const { chosen, options } = chooseReseed({
          ...rest,
          ...(any.hasTarget ? { target } : {}),
          ...(any.freeGib === undefined ? {} : { freeBytes: any.freeGib * GIB }),
          snapshots: [repository({}, any.archivedGib * GIB)],
          standbys: [{ node: 'c', replayedLsn: lsn(1n), lagBytes: any.lagGib * GIB }],
          deltaFrom: any.canDelta ? ['local'] : [],
        });
        const possible = options.filter((one) => one.kind === 'possible');
        expect(chosen === undefined).toBe(possible.length === 0);
        for (const { price } of possible) {
          expect(price.bytesMoved).toBeGreaterThanOrEqual(chosen?.price.bytesMoved ?? 0n);
          expect(price.primaryBytes >= 0n && price.primaryBytes <= price.bytesMoved).toBe(true);
          expect(price.seconds).toBeGreaterThan(0);
        }
        for (const option of options) if (option.kind === 'refused') expect(option.reason).not.toBe('');
      }),
    );
  });
});
