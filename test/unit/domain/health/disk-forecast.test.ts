import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assessArchive } from '../../../../src/domain/health/assess-archive.ts';
import { forecastDisk } from '../../../../src/domain/health/disk-forecast.ts';
import { at, LOCAL } from '../recovery/world.ts';
import { closedBut, facts, primary, repository } from './facts.ts';

const samples = (free: readonly number[], stepSeconds = 30) =>
  free.map((bytes, index) => ({ at: at(index * stepSeconds), freeBytes: BigInt(bytes) }));

describe('the forecast of a file system', () => {
  it('is the instant at which a steady loss has used the rest', () => {
    // 3000 bytes in 30 s, and 88 000 are left at second 120: 880 s more.
    expect(forecastDisk(samples([100_000, 97_000, 94_000, 91_000, 88_000]))).toEqual({
      kind: 'filling',
      freeBytes: 88_000n,
      bytesPerSecond: 100,
      fullAt: at(1000),
    });
  });

  it.each([
    ['nothing is lost', [5, 5, 5, 5, 5]],
    ['space comes back', [5, 6, 7, 8, 9]],
  ])('is no date where %s', (_what, free) => {
    expect(forecastDisk(samples(free))).toMatchObject({ kind: 'steady' });
  });

  it.each([[[]], [[9]], [[9, 8, 7]]])('is unknown after %j', (free) => {
    expect(forecastDisk(samples(free))).toEqual({ kind: 'unknown' });
  });

  it('is unknown where all looks were in the same minute', () => {
    expect(forecastDisk(samples([9, 8, 7, 6, 5], 1))).toEqual({ kind: 'unknown' });
  });

  it('is not put off by one file that came and went', () => {
    expect(forecastDisk(samples([1000, 990, 20, 970, 960, 950]))).toMatchObject({ kind: 'filling', bytesPerSecond: 1 / 3 });
  });

  it('of any loss at one rate is that rate, whatever single look is wrong', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 8, max: 30 }),
        fc.nat(),
        fc.nat(1e12),
        (rate, count, where, wrong) => {
          const free = Array.from({ length: count }, (_, index) => 1e12 - index * 30 * rate);
          free[where % count] = wrong;
          const forecast = forecastDisk(samples(free));
          expect(forecast.kind).toBe('filling');
          expect(forecast.kind === 'filling' ? forecast.bytesPerSecond : 0).toBeCloseTo(rate, 3);
        },
      ),
    );
  });
});

describe('a file system under pg_wal', () => {
  const look = (at_: number, free: number) => {
    const { insertLsn, timeline, archiver } = primary();
    return { at: at(at_), insertLsn, timeline, archiver, walFreeBytes: BigInt(free), tips: [] };
  };
  const loss = (free: number, slots = primary().slots) =>
    facts({
      primary: primary({ waits: [], archived: 19, walFreeBytes: BigInt(free), walBytes: 1000n, slots }),
      snapshots: [repository(LOCAL, closedBut())],
      samples: [0, 50, 100, 150].map((second) => look(second, free + (200 - second) * 10)),
    });

  it('that is full within two hours is critical, within a day a warning, and later nothing', () => {
    const severities = [60_000, 600_000, 60_000_000].map((free) => assessArchive(loss(free)).findings.map(({ severity }) => severity));
    expect(severities).toEqual([['critical'], ['warning'], []]);
  });

  it('that a slot fills names the slot', () => {
    const slots = [{ name: 'replica_1', active: false, walStatus: 'extended', retainedBytes: 900n }];
    expect(assessArchive(loss(60_000, slots)).findings[0]?.cause).toContain('replica_1');
  });

  it('with a slot that is lost has a standby to seed again', () => {
    const slots = [{ name: 'replica_1', active: false, walStatus: 'lost' }];
    const given = facts({ primary: primary({ slots }), snapshots: [repository(LOCAL, closedBut())] });
    expect(assessArchive(given).findings).toMatchObject([
      { code: 'slot-lost', severity: 'critical', message: expect.stringContaining('replica_1') },
    ]);
  });
});
