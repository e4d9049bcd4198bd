import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coveredUpTo, reasonSummariesFallShort, type WalSummary } from '../../../../src/domain/native/wal-summaries.ts';
import { lsnOf, parseLsn } from '../../../../src/domain/postgres/lsn.ts';
import { timelineIdOf } from '../../../../src/domain/postgres/timeline.ts';

const timeline = timelineIdOf(1);
const summary = (start: string, end: string, of = timeline): WalSummary => ({
  timeline: of,
  startLsn: parseLsn(start),
  endLsn: parseLsn(end),
});
const at = (lsn: string, of = timeline) => ({ timeline: of, summarizedLsn: parseLsn(lsn) });

describe('WAL summaries', () => {
  it('suffice from the start of a backup to where the summarizer is, however they are cut', () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 101, max: 999 }), { maxLength: 8 });
    fc.assert(
      fc.property(cuts, fc.integer({ min: 100, max: 999 }), fc.boolean(), fc.nat(), (places, since, takesOne, which) => {
        const edges = [100, ...places.toSorted((one, other) => one - other), 1000];
        const all = edges
          .slice(1)
          .map((end, index) => ({ timeline, startLsn: lsnOf(BigInt(edges[index] ?? 0)), endLsn: lsnOf(BigInt(end)) }));
        const lost = takesOne ? all[which % all.length] : undefined;
        const summaries = all.filter((one) => one !== lost).reverse();
        const needsLost = lost !== undefined && lost.endLsn > BigInt(since);
        const reason = reasonSummariesFallShort(
          { summaries, summarizer: { timeline, summarizedLsn: lsnOf(1000n) } },
          timeline,
          lsnOf(BigInt(since)),
        );
        expect(reason === undefined).toBe(!needsLost);
      }),
    );
  });

  it('reach from a position up to the first gap', () => {
    const summaries = [summary('0/30', '0/40'), summary('0/10', '0/20'), summary('0/20', '0/28')];
    expect(coveredUpTo(summaries, timeline, parseLsn('0/18'))).toBe(parseLsn('0/28'));
    expect(coveredUpTo(summaries, timeline, parseLsn('0/8'))).toBe(parseLsn('0/8'));
    expect(coveredUpTo([summary('0/10', '0/20', timelineIdOf(2))], timeline, parseLsn('0/18'))).toBe(parseLsn('0/18'));
  });

  it('are not missing where the summarizer has not come there yet: PostgreSQL waits for it', () => {
    expect(reasonSummariesFallShort({ summaries: [], summarizer: at('0/2000028') }, timeline, parseLsn('0/2000028'))).toBeUndefined();
  });

  it.each([
    { facts: { summaries: [] }, why: 'the WAL summarizer does not run' },
    { facts: { summaries: [], summarizer: at('0/50', timelineIdOf(2)) }, why: 'the WAL summarizer is still on timeline 2' },
    { facts: { summaries: [], summarizer: at('0/50') }, why: 'WAL summaries are missing from 0/10 on, and 0/10 to 0/50 is needed' },
    {
      facts: { summaries: [summary('0/8', '0/20'), summary('0/30', '0/50')], summarizer: at('0/50') },
      why: 'WAL summaries are missing from 0/20 on, and 0/10 to 0/50 is needed',
    },
  ])('fall short: $why', ({ facts, why }) => {
    expect(reasonSummariesFallShort(facts, timeline, parseLsn('0/10'))).toBe(why);
  });
});
