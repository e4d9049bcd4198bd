import { describe, expect, it } from 'vitest';
import { timelineIdOf } from '../../../src/domain/postgres/timeline.ts';
import { type NodeFacts, topologyOf } from '../../../src/domain/topology/topology.ts';
import { type Compared, compareCandidates } from '../../../src/workflows/failover/compare.ts';
import { files, lsn, MIB, OURS, primary, standby } from '../domain/topology/facts.ts';
import { HELD } from './switchover-world.ts';

/** A plan that would promote b at 10 MiB, and gives up 2 MiB that a is known to have. */
const ASKED: Compared = {
  kind: 'compare-candidates',
  node: 'b',
  choice: 'best',
  systemIdentifier: String(OURS),
  timeline: 1,
  fences: [{ kind: 'stopped', server: HELD }],
  others: ['a', 'c'],
  planned: { timeline: 1, fromLsn: '0/A00000', toLsn: '0/C00000', bytes: Number(2n * MIB), isExact: false },
};
const KILLED: NodeFacts = { node: 'a', unreachable: 'refused', files: files({ state: 'in production', hasStandbySignal: true }) };
const at = (node: string, mib: bigint, timeline = 1) => standby(node, { received: mib * MIB, replayed: mib * MIB, timeline });

function compare(asked: Partial<Compared>, nodes: readonly NodeFacts[], endMib?: bigint) {
  const end = endMib === undefined ? [] : [['a', { timeline: timelineIdOf(1), lsn: lsn(endMib * MIB) }] as const];
  return compareCandidates({ ...ASKED, ...asked }, topologyOf(nodes, OURS), new Map(end));
}

describe('who has most once the old primary is fenced', () => {
  it('is promoted where it was chosen, and what is lost is told as it is now', () => {
    const lost = { fromLsn: '0/B00000', toLsn: '0/F00000', bytes: Number(4n * MIB), isExact: true };
    expect(compare({}, [KILLED, at('b', 11n), at('c', 11n)], 15n)).toMatchObject({ kind: 'the same', lost });
  });

  it('has what was known before for a bound where the old primary shows no files', () => {
    const gone = { node: 'a', unreachable: 'no route' };
    expect(compare({}, [gone, at('b', 11n)])).toMatchObject({ lost: { fromLsn: '0/B00000', toLsn: '0/C00000', isExact: false } });
    expect(compare({}, [gone, at('b', 13n)])).toMatchObject({ lost: { bytes: 0, isExact: false } });
  });

  it('takes the place of the chosen one where nobody named that', () => {
    const compared = compare({}, [KILLED, at('b', 10n), at('c', 11n)], 12n);
    expect(compared).toMatchObject({ kind: 'another', error: { code: 'PLAN_STALE', details: { candidate: 'c' } } });
  });

  it('does not where the chosen one may have been asked to become the primary already', () => {
    const compared = compare({ choice: 'asked' }, [KILLED, at('b', 10n), at('c', 11n)], 12n);
    expect(compared).toMatchObject({ kind: 'the same', lost: { fromLsn: '0/A00000', toLsn: '0/C00000', isExact: true } });
  });

  const named = (asked: Partial<Compared>, cMib: bigint, endMib?: bigint) => () =>
    compare({ choice: 'named', ...asked }, [KILLED, at('b', 10n), at('c', cMib)], endMib);
  const EXACT = { planned: { ...ASKED.planned, isExact: true } };

  it('does not where the other one was named, as long as that loses no more than was confirmed', () => {
    expect(named({}, 11n, 12n)()).toMatchObject({ kind: 'the same' });
    // A lower bound was confirmed, and the other standby has nothing beyond it.
    expect(named({}, 12n, 20n)()).toMatchObject({ kind: 'the same', lost: { toLsn: '0/1400000', isExact: true } });
    expect(named({}, 13n, 20n)).toThrow('more than the plan said (0/A00000 to 0/C00000)');
    expect(named(EXACT, 11n, 12n)()).toMatchObject({ kind: 'the same' });
    expect(named(EXACT, 11n, 13n)).toThrow('the WAL from 0/A00000 to 0/D00000 would be lost');
  });

  it.each<[string, readonly NodeFacts[], string]>([
    ['the chosen one follows another timeline', [KILLED, at('b', 10n, 2)], 'b follows timeline 2 now'],
    ['another standby follows a newer one', [KILLED, at('b', 10n), at('c', 10n, 2)], 'c follows timeline 2: somebody was promoted'],
    ['the chosen one is a primary', [KILLED, primary('b', 10n * MIB)], 'b is no standby of this cluster any more (primary)'],
    ['the chosen one does not answer', [KILLED, { node: 'b', unreachable: 'no route' }], 'b does not answer'],
  ])('is nobody where %s', (_what, nodes, message) => {
    expect(() => compare({}, nodes)).toThrow(message);
  });
});
