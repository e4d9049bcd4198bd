import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseFailover, whyNobody } from '../../../../src/domain/topology/failover-candidate.ts';
import { type NodeFacts, topologyOf } from '../../../../src/domain/topology/topology.ts';
import { files, MIB, OTHERS, OURS, server, standby } from './facts.ts';

const GONE: NodeFacts = { node: 'a', unreachable: 'connection refused' };
const request = { lost: 'a', maxLagBytes: 16n * MIB };
const choose = (nodes: readonly NodeFacts[], more = {}) => chooseFailover(topologyOf([GONE, ...nodes], OURS), { ...request, ...more });

describe('whom a failover promotes', () => {
  it('is who has received most, not who has replayed most: promotion replays the rest', () => {
    const choice = choose([
      standby('b', { received: 9n * MIB, replayed: 9n * MIB }),
      standby('c', { received: 10n * MIB, replayed: 2n * MIB }),
    ]);
    expect(choice.chosen?.node).toBe('c');
    expect(choice.chosen?.reasons.join()).toContain('8.0 MiB are to be replayed');
  });

  it('is of those that have as much who has replayed more, then the first by name', () => {
    const at = (replayed: bigint) => ({ received: 9n * MIB, replayed });
    expect(choose([standby('b', at(1n)), standby('c', at(2n))]).chosen?.node).toBe('c');
    expect(choose([standby('c', at(1n)), standby('b', at(1n))]).chosen?.node).toBe('b');
  });

  it('is never on an older timeline, though it has more WAL: that WAL is of another history', () => {
    const choice = choose([
      standby('b', { received: 99n * MIB, replayed: 99n * MIB, timeline: 1 }),
      standby('c', { received: 10n * MIB, replayed: 10n * MIB, timeline: 2 }),
    ]);
    expect(choice.chosen?.node).toBe('c');
    expect(choice.candidates[1]).toMatchObject({ node: 'b', refused: ['it is on timeline 1, another node on 2'] });
  });

  it('is who was asked for, unless that would lose more than is allowed', () => {
    const nodes = [
      standby('b', { received: 40n * MIB, replayed: 40n * MIB }),
      standby('c', { received: 30n * MIB, replayed: 30n * MIB }),
      standby('d', { received: 20n * MIB, replayed: 20n * MIB }),
    ];
    expect(choose(nodes, { to: 'c' }).chosen?.node).toBe('c');
    const refused = choose(nodes, { to: 'd' });
    expect(refused.chosen).toBeUndefined();
    expect(refused.candidates.find(({ node }) => node === 'd')?.refused[0]).toContain('20 MiB of WAL less than the best');
  });

  it('is nobody where nobody is there, and each is told why', () => {
    const nodes: readonly NodeFacts[] = [
      { node: 'x', server: server({ systemIdentifier: OTHERS }) },
      { node: 'd', files: files({ state: 'shut down in recovery', hasStandbySignal: true }) },
      { node: 'u', unreachable: 'no route' },
    ];
    const choice = choose(nodes);
    expect(choice.chosen).toBeUndefined();
    const why = whyNobody(topologyOf([GONE, ...nodes], OURS), choice, request);
    expect(why).toMatch(/x: it is of another cluster.*; |d: no server runs there \(shut down in recovery\)/);
    expect(why).toContain('u: it does not answer: no route');
  });

  it('is never worse than any other of the newest timeline', () => {
    const anyStandby = fc.record({ received: fc.bigInt(0n, 50n), replayed: fc.bigInt(0n, 50n), timeline: fc.integer({ min: 1, max: 3 }) });
    fc.assert(
      fc.property(fc.array(anyStandby, { minLength: 1, maxLength: 5 }), (all) => {
        const nodes = all.map((one, index) => standby(`n${index}`, one));
        const { chosen } = choose(nodes);
        const newest = Math.max(...all.map(({ timeline }) => timeline));
        expect(chosen?.timeline).toBe(newest);
        for (const { received, replayed, timeline } of all)
          if (timeline === newest) expect(chosen?.receivedLsn).toBeGreaterThanOrEqual(received > replayed ? received : replayed);
      }),
    );
  });
});
