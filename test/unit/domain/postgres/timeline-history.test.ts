import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lsnOf, parseLsn } from '../../../../src/domain/postgres/lsn.ts';
import { timelineIdOf } from '../../../../src/domain/postgres/timeline.ts';
import {
  formatTimelineHistory,
  historyOf,
  isAncestorAt,
  parseTimelineHistory,
  rootHistory,
  timelineAt,
  timelineHistoryFileName,
  timelineSpans,
  type TimelineHistory,
} from '../../../../src/domain/postgres/timeline-history.ts';
import { timelineByBruteForce } from '../recovery/world.ts';

const tli = timelineIdOf;
// As PostgreSQL 15 wrote it after two recoveries: to a time, then along timeline 2 to an LSN before timeline 2 began.
const WRITTEN_BY_POSTGRES = '1\t0/3000270\tbefore 2026-11-22 22:03:55.874856+00\n\n\n2\t0/3000208\tafter LSN 0/30001C8\n\n';

const history = fc
  .array(
    fc.record({
      step: fc.integer({ min: 1, max: 3 }),
      switchLsn: fc.bigInt({ min: 1n, max: 200n }),
      reason: fc.constantFrom('', 'no recovery target specified', 'before 2026-11-22 22:03:55.874856+00'),
    }),
    { maxLength: 6 },
  )
  .map((steps): TimelineHistory => {
    let id = 0;
    const ancestors = steps.map(({ step, switchLsn, reason }) => {
      id += step;
      return { timeline: tli(id), switchLsn: lsnOf(switchLsn), reason };
    });
    return { timeline: tli(id + 1), ancestors };
  });

describe('a timeline history', () => {
  it('is read from the text that PostgreSQL writes, although its positions go backwards', () => {
    expect(parseTimelineHistory(WRITTEN_BY_POSTGRES, tli(3))).toEqual({
      timeline: 3,
      ancestors: [
        { timeline: 1, switchLsn: 0x3000270n, reason: 'before 2026-11-22 22:03:55.874856+00' },
        { timeline: 2, switchLsn: 0x3000208n, reason: 'after LSN 0/30001C8' },
      ],
    });
  });

  it('skips comments and empty lines, and a reason may be missing', () => {
    expect(parseTimelineHistory('# made by hand\n\n  \n1\t0/5000000\n', tli(2)).ancestors).toEqual([
      { timeline: 1, switchLsn: 0x5000000n, reason: '' },
    ]);
  });

  it('comes back from its own text', () => {
    fc.assert(
      fc.property(history, (one) => {
        expect(parseTimelineHistory(formatTimelineHistory(one), one.timeline)).toEqual(one);
      }),
    );
  });

  it.each([
    ['x\t0/1\treason\n', /syntax error/],
    ['1\n', /syntax error/],
    ['1\t0-1\treason\n', /syntax error/],
    ['2\t0/1\ta\n1\t0/2\tb\n', /do not increase/],
    ['1\t0/1\ta\n1\t0/2\tb\n', /do not increase/],
    ['5\t0/1\ta\n', /names timeline 5 as an ancestor/],
    ['0\t0/1\ta\n', /not a timeline id/],
  ])('is refused where PostgreSQL refuses it: %j', (text, message) => {
    expect(() => parseTimelineHistory(text, tli(5))).toThrow(message);
  });

  it('has a file named after its timeline in hexadecimal', () => {
    expect(timelineHistoryFileName(tli(2))).toBe('00000002.history');
    expect(timelineHistoryFileName(tli(26))).toBe('0000001A.history');
  });

  it('of timeline 1 needs no file, of any other it does', () => {
    const second = parseTimelineHistory('1\t0/5000000\n', tli(2));
    expect(historyOf(tli(1), [])).toEqual({ timeline: 1, ancestors: [] });
    expect(historyOf(tli(2), [second])).toBe(second);
    expect(historyOf(tli(3), [second])).toBeUndefined();
  });

  it('tells the timeline of a byte as PostgreSQL does', () => {
    fc.assert(
      fc.property(history, fc.bigInt({ min: 0n, max: 220n }), (one, lsn) => {
        expect(timelineAt(one, lsnOf(lsn))).toBe(timelineByBruteForce(one, lsn));
      }),
    );
  });

  it('divides WAL into stretches that follow upon each other from 0 on', () => {
    fc.assert(
      fc.property(history, (one) => {
        const spans = timelineSpans(one);
        expect(spans[0]?.beginLsn).toBe(0n);
        expect(spans.at(-1)).toMatchObject({ timeline: one.timeline });
        expect(spans.at(-1)?.endLsn).toBeUndefined();
        for (const [index, span] of spans.slice(1).entries()) expect(spans[index]?.endLsn).toBe(span.beginLsn);
      }),
    );
  });

  it('takes in what ended on the parent at the fork or before it, and nothing that ended later', () => {
    const second = parseTimelineHistory('1\t0/5000000\n', tli(2));
    expect(isAncestorAt(second, tli(1), parseLsn('0/4FFFFFF'))).toBe(true);
    expect(isAncestorAt(second, tli(1), parseLsn('0/5000000'))).toBe(true);
    expect(isAncestorAt(second, tli(1), parseLsn('0/5000001'))).toBe(false);
    expect(isAncestorAt(second, tli(2), parseLsn('0/5000001'))).toBe(true);
    expect(isAncestorAt(rootHistory(tli(1)), tli(2), parseLsn('0/1'))).toBe(false);
  });

  it('leaves an ancestor out of which a later fork left nothing', () => {
    const third = parseTimelineHistory(WRITTEN_BY_POSTGRES, tli(3));
    expect(timelineSpans(third)).toEqual([
      { timeline: 1, beginLsn: 0n, endLsn: 0x3000208n },
      { timeline: 3, beginLsn: 0x3000208n },
    ]);
    expect(isAncestorAt(third, tli(2), parseLsn('0/3000280'))).toBe(false);
  });
});
