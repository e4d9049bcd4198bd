import { describe, expect, it } from 'vitest';
import { archiveWithTail, withStreamedWal } from '../../../../src/domain/catalog/archive-with-tail.ts';
import { type ArchivedSegment, type WalArchive, walRangesOf } from '../../../../src/domain/catalog/wal-archive.ts';
import { mergedTail, type TailSegment, type WalTail } from '../../../../src/domain/catalog/wal-tail.ts';
import { parseSystemIdentifier } from '../../../../src/domain/postgres/system-identifier.ts';
import { parseTimelineHistory, rootHistory } from '../../../../src/domain/postgres/timeline-history.ts';
import { mayLieInStreamedWal, streamedReach } from '../../../../src/domain/recovery/streamed-reach.ts';
import type { RecoveryTarget } from '../../../../src/domain/recovery/target.ts';
import { contiguousWalFrom } from '../../../../src/domain/recovery/timeline-path.ts';
import { recoveryWindows } from '../../../../src/domain/recovery/window.ts';
import { repository } from '../health/facts.ts';
import { at, LOCAL, lsnIn, SEGMENT_SIZE_BYTES, segments, tli } from './world.ts';

const SYSTEM = parseSystemIdentifier('7300000000000000001');
const FIRST = rootHistory(tli(1));

function archive(...held: readonly ArchivedSegment[]): WalArchive {
  return { segmentSizeBytes: SEGMENT_SIZE_BYTES, ranges: walRangesOf(held), histories: [] };
}

function tail(...of: readonly TailSegment[]): WalTail {
  return { systemIdentifier: SYSTEM, segmentSizeBytes: SEGMENT_SIZE_BYTES, segments: of, histories: [], at: at(500) };
}

function wholeSegment(segment: number, timeline = 1): TailSegment {
  return { timeline: tli(timeline), segmentNumber: BigInt(segment) };
}

function part(segment: number, bytes: number, timeline = 1): TailSegment {
  return { ...wholeSegment(segment, timeline), endLsn: lsnIn(segment, bytes), lastRecordLsn: lsnIn(segment, bytes - 40) };
}

describe('WAL that was streamed beyond the archive', () => {
  it('leads replay to the end of its last record, which it has to come to', () => {
    const reach = streamedReach(archiveWithTail(archive(...segments(1, 5)), tail(wholeSegment(6), part(7, 4000))), FIRST, lsnIn(2));
    expect(reach).toMatchObject({ endLsn: lsnIn(7, 4000), leastLsn: lsnIn(7, 3960), at: at(500) });
    expect(reach?.archived.endLsn).toBe(lsnIn(6));
    expect(reach?.segments.map(({ segmentNumber }) => segmentNumber)).toEqual([6n, 7n]);
  });

  it('has no record to come to where none begins in its last segment: the one before it has one', () => {
    const begun: TailSegment = { ...wholeSegment(6), endLsn: lsnIn(6, 24) };
    const reach = streamedReach(archiveWithTail(archive(...segments(1, 5)), tail(begun)), FIRST, lsnIn(2));
    expect(reach?.leastLsn).toBe(lsnIn(5));
  });

  it('is of no use behind a hole', () => {
    const reach = streamedReach(archiveWithTail(archive(...segments(1, 5)), tail(part(7, 4000))), FIRST, lsnIn(2));
    expect(reach).toBeUndefined();
  });

  it('closes a hole of the archive', () => {
    const holed = archive(...segments(1, 5), ...segments(7, 9));
    expect(contiguousWalFrom(archiveWithTail(holed, tail(wholeSegment(6))), FIRST, lsnIn(2)).endLsn).toBe(lsnIn(10));
  });

  it('is of no use where the archive has it', () => {
    expect(streamedReach(archiveWithTail(archive(...segments(1, 8)), tail(part(7, 4000))), FIRST, lsnIn(2))).toBeUndefined();
  });

  it('counts for nothing where it is of another cluster', () => {
    const other = { ...tail(part(6, 400)), systemIdentifier: parseSystemIdentifier('7300000000000000002') };
    const snapshot = repository(LOCAL, segments(1, 5), { tail: other });
    expect(withStreamedWal(snapshot)).toBe(snapshot);
  });

  it('leads over a change of the timeline that the archive knows nothing of', () => {
    const history = parseTimelineHistory(`1\t${'0/600100'}\tno recovery target specified\n`, tli(2));
    const known = archiveWithTail(archive(...segments(1, 5)), { ...tail(part(6, 9000, 2)), histories: [history] });
    expect(known.histories).toEqual([history]);
    expect(streamedReach(known, history, lsnIn(2))).toMatchObject({ endLsn: lsnIn(6, 9000) });
  });

  it('extends the window of its repository', () => {
    const snapshot = repository(LOCAL, segments(1, 5), { tail: tail(part(6, 4000)) });
    expect(recoveryWindows(withStreamedWal(snapshot)).windows).toMatchObject([{ to: at(500), toLsn: lsnIn(6, 4000) }]);
    expect(recoveryWindows(snapshot).windows).toMatchObject([{ to: at(60), toLsn: lsnIn(6) }]);
  });
});

describe('a target', () => {
  const archived = contiguousWalFrom(archive(...segments(1, 100)), FIRST, lsnIn(2));
  const cases: readonly (readonly [RecoveryTarget, boolean])[] = [
    [{ kind: 'latest' }, true],
    [{ kind: 'xid', xid: 7n, inclusive: true }, true],
    [{ kind: 'name', name: 'before' }, true],
    [{ kind: 'immediate' }, false],
    [{ kind: 'lsn', lsn: lsnIn(101), inclusive: true }, true],
    [{ kind: 'lsn', lsn: lsnIn(100, 5), inclusive: true }, false],
    // The last segment came at second 1010: what was committed ten minutes before is in it or in an earlier one.
    [{ kind: 'time', time: at(411), inclusive: true }, true],
    [{ kind: 'time', time: at(410), inclusive: true }, false],
  ];
  it.each(cases)('%o may lie in streamed WAL: %s', (target, expected) => {
    expect(mayLieInStreamedWal(target, archived)).toBe(expected);
  });
});

describe('two tails', () => {
  it('are as good as the better one of each segment', () => {
    const one = tail(wholeSegment(5), part(6, 100));
    const other = { ...tail(part(5, 50), part(6, 200), part(7, 9)), at: at(501) };
    expect(mergedTail(one, other)).toMatchObject({ at: at(501), segments: [wholeSegment(5), part(6, 200), part(7, 9)] });
    expect(mergedTail(other, one)?.segments).toEqual(mergedTail(one, other)?.segments);
  });
});
