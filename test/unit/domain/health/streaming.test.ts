import { describe, expect, it } from 'vitest';
import type { StreamingFacts } from '../../../../src/domain/health/archive-facts.ts';
import { assessArchive } from '../../../../src/domain/health/assess-archive.ts';
import { forecastSlot } from '../../../../src/domain/health/slot-forecast.ts';
import type { WalTail } from '../../../../src/domain/catalog/wal-tail.ts';
import { at, LOCAL, lsnIn, SEGMENT_SIZE_BYTES, segments, tli } from '../recovery/world.ts';
import { codes, closedBut, facts, primary, repository, SYSTEM } from './facts.ts';

const MIB = 1024n * 1024n;

function streaming(more: Partial<StreamingFacts> = {}): StreamingFacts {
  return { slot: 'spoke_main', tailSeconds: 5, slotKeepsMib: 1024, ...more };
}

function tailOf(second: number, segment = 20): WalTail {
  const newest = { timeline: tli(1), segmentNumber: BigInt(segment), endLsn: lsnIn(segment, 40) };
  return { systemIdentifier: SYSTEM, segmentSizeBytes: SEGMENT_SIZE_BYTES, segments: [newest], histories: [], at: at(second) };
}

function slot(active: boolean, retainedBytes = MIB) {
  return primary({ slots: [{ name: 'spoke_main', active, walStatus: 'reserved', retainedBytes }] });
}

const current = repository(LOCAL, closedBut(), { tail: tailOf(195) });

describe('streaming', () => {
  it('is well where its slot is in use and the tail is fresh', () => {
    const given = facts({ primary: slot(true), snapshots: [current], streaming: streaming() });
    expect(codes(given)).toEqual([]);
    expect(assessArchive(given).streamingWell).toEqual([{ code: 'streaming-down' }, { code: 'streaming-behind', repository: LOCAL }]);
  });

  it('is down where nobody uses the slot and no tail is fresh, and not for a moment in which it is begun again', () => {
    const stale = repository(LOCAL, closedBut(), { tail: tailOf(100) });
    expect(codes(facts({ primary: slot(false), snapshots: [stale], streaming: streaming() }))).toEqual(['streaming-down']);
    expect(codes(facts({ primary: slot(false), snapshots: [current], streaming: streaming() }))).toEqual([]);
  });

  it('is down when whoever streams says so for a minute, with the reason', () => {
    const receiver = { kind: 'down', since: at(139), reason: 'no pg_hba.conf entry' } as const;
    const [finding] = assessArchive(facts({ primary: slot(false), snapshots: [current], streaming: streaming({ receiver }) })).findings;
    expect(finding).toMatchObject({ code: 'streaming-down', severity: 'critical', cause: 'no pg_hba.conf entry' });
    const recent = { ...receiver, since: at(141) };
    expect(codes(facts({ primary: slot(false), snapshots: [current], streaming: streaming({ receiver: recent }) }))).toEqual([]);
  });

  it('is behind in a repository whose tail is old, or that has none', () => {
    const old = repository(LOCAL, closedBut(), { tail: tailOf(109) });
    expect(codes(facts({ primary: slot(true), snapshots: [old], streaming: streaming() }))).toEqual(['streaming-behind']);
    expect(codes(facts({ primary: slot(true), snapshots: [repository(LOCAL, closedBut())], streaming: streaming() }))).toEqual([
      'streaming-behind',
    ]);
  });

  it('is not behind where it has only just begun', () => {
    const receiver = { kind: 'streaming', since: at(150), node: 'primary-1' } as const;
    const given = facts({ primary: slot(true), snapshots: [repository(LOCAL, closedBut())], streaming: streaming({ receiver }) });
    expect(codes(given)).toEqual([]);
  });

  it('wants its slot to be bounded', () => {
    const given = facts({ primary: slot(true), snapshots: [current], streaming: streaming({ slotKeepsMib: -1 }) });
    expect(codes(given)).toEqual(['slot-unbounded']);
  });

  it('does not take its own slot for that of a standby', () => {
    const lost = primary({ slots: [{ name: 'spoke_main', active: false, walStatus: 'lost' }] });
    const [finding] = assessArchive(facts({ primary: lost, snapshots: [current], streaming: streaming() })).findings;
    expect(finding?.message).not.toContain('standby');
    expect(finding?.code).toBe('slot-lost');
  });

  it('keeps an objective that the archive alone misses', () => {
    const lagging = segments(1, 10);
    const primaryOf = primary({ waits: [11, 12], slots: [{ name: 'spoke_main', active: true, walStatus: 'reserved', retainedBytes: 0n }] });
    const streamed = tailOf(199);
    const between = Array.from({ length: 9 }, (_none, index) => ({ timeline: tli(1), segmentNumber: BigInt(11 + index) }));
    const tail = { ...streamed, segments: [...between, ...streamed.segments] };
    const without = facts({ primary: primaryOf, snapshots: [repository(LOCAL, lagging)], rpoSeconds: 30 });
    expect(codes(without)).toContain('rpo-missed');
    const withTail = { ...without, snapshots: [repository(LOCAL, lagging, { tail })], streaming: streaming() };
    expect(codes(withTail)).not.toContain('rpo-missed');
    const holed = { ...withTail, snapshots: [repository(LOCAL, lagging, { tail: streamed })] };
    expect(codes(holed)).toContain('rpo-missed');
  });
});

describe('what becomes of a slot that nobody reads', () => {
  const common = { now: at(0), bytesPerSecond: 1024 * 1024, retainedBytes: 100n * MIB };

  it('is that it is lost at its bound', () => {
    expect(forecastSlot({ ...common, keepsBytes: 160n * MIB, freeBytes: 1000n * MIB })).toEqual({ kind: 'lost', at: at(60) });
  });

  it('is that the disk is full before, where there is less room than that', () => {
    expect(forecastSlot({ ...common, keepsBytes: 160n * MIB, freeBytes: 30n * MIB })).toEqual({ kind: 'disk full', at: at(30) });
    expect(forecastSlot({ ...common, keepsBytes: undefined, freeBytes: 30n * MIB })).toEqual({ kind: 'disk full', at: at(30) });
  });

  it('is not known where nothing tells how much room there is', () => {
    expect(forecastSlot({ ...common, keepsBytes: undefined, freeBytes: undefined })).toBeUndefined();
  });

  it('is told with the hour', () => {
    const samples = [{ at: at(0), timeline: tli(1), insertLsn: lsnIn(10), archiver: primary().archiver, tips: [] }];
    const receiver = { kind: 'down', since: at(10), reason: 'gone' } as const;
    const given = facts({ primary: slot(false), snapshots: [current], streaming: streaming({ receiver }), samples });
    const down = assessArchive(given).findings.find(({ code }) => code === 'streaming-down');
    expect(down?.message).toMatch(/the slot keeps what is missing until about 2026-11-22 \d\d:\d\d:\d\d UTC/);
  });
});
