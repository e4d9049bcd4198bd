import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { slotOf } from '../../../../src/domain/topology/slot-name.ts';
import { type NodeFacts, nodeOf, topologyOf } from '../../../../src/domain/topology/topology.ts';
import { files, MIB, OTHERS, OURS, primary, replication, server, standby } from './facts.ts';

const A = primary('a', 10n * MIB);
const B = standby('b', { received: 9n * MIB, replayed: 9n * MIB, of: 'a' });
const C = standby('c', { received: 9n * MIB, replayed: 9n * MIB, of: 'b' });

describe('the roles of a cluster', () => {
  it('are what the servers say: a primary, and standbys with whom they stream from', () => {
    const topology = topologyOf([C, A, B]);
    expect(topology).toMatchObject({ systemIdentifier: OURS, primary: { node: 'a' } });
    expect(topology.standbys.map(({ node, upstream }) => [node, upstream])).toEqual([
      ['c', { kind: 'node', node: 'b' }],
      ['b', { kind: 'node', node: 'a' }],
    ]);
  });

  it('have no one primary where two servers accept writes', () => {
    const topology = topologyOf([A, primary('z', 3n)]);
    expect(topology.primary).toBeUndefined();
    expect(topology.primaries.map(({ node }) => node)).toEqual(['a', 'z']);
  });

  it('of a node of another cluster is that of a stranger, whatever it says', () => {
    const stranger: NodeFacts = { node: 'x', server: server({ systemIdentifier: OTHERS, inRecovery: false }) };
    const topology = topologyOf([A, B, stranger]);
    expect(nodeOf(topology, 'x')).toMatchObject({ role: 'stranger', systemIdentifier: OTHERS });
    expect(topology.primary?.node).toBe('a');
  });

  it('are unknown where two clusters have as many nodes and nobody says which it has to be', () => {
    const stranger: NodeFacts = { node: 'x', server: server({ systemIdentifier: OTHERS, inRecovery: false }) };
    expect(topologyOf([A, stranger])).toMatchObject({ primaries: [], strangers: [{ node: 'a' }, { node: 'x' }] });
    expect(topologyOf([A, stranger])).not.toHaveProperty('systemIdentifier');
    expect(topologyOf([A, stranger], OTHERS).primary?.node).toBe('x');
  });

  it.each([
    [false, 'primary'],
    [true, 'standby'],
  ])('of a server that is down is judged by its files: standby.signal %j makes it a %s', (hasStandbySignal, wouldBe) => {
    const down: NodeFacts = { node: 'd', unreachable: 'connection refused', files: files({ hasStandbySignal }) };
    expect(nodeOf(topologyOf([down]), 'd')).toMatchObject({ role: 'stopped', wouldBe });
  });

  it('of a server that runs and does not answer is not known', () => {
    const hung: NodeFacts = { node: 'd', unreachable: 'no answer', files: files({ isRunning: true }) };
    expect(nodeOf(topologyOf([hung]), 'd')).toMatchObject({ role: 'unreachable', reason: 'no answer' });
  });

  it('tell whom a standby streams from by its slot where the address is nobody’s', () => {
    const slots = [{ name: 'd', kind: 'physical', active: true, temporary: false }] as const;
    const upstream: NodeFacts = {
      node: 'a',
      server: server({ inRecovery: false, replication: replication({ inRecovery: false, slots }) }),
    };
    const behindNat = standby('d', { received: 1n, replayed: 1n, of: '10.9.9.9' });
    expect(topologyOf([upstream, behindNat]).standbys[0]?.upstream).toEqual({ kind: 'node', node: 'a' });
    expect(topologyOf([A, behindNat]).standbys[0]?.upstream).toEqual({ kind: 'elsewhere', host: '10.9.9.9', port: 5432 });
  });
});

describe('every look', () => {
  const anyNode = fc.record(
    {
      node: fc.constantFrom('a', 'b', 'c', 'd'),
      server: fc.option(
        fc.record({ inRecovery: fc.boolean(), systemIdentifier: fc.constantFrom(OURS, OTHERS) }).map((some) => server(some)),
        { nil: undefined },
      ),
      files: fc.option(
        fc
          .record({ systemIdentifier: fc.constantFrom(OURS, OTHERS), hasStandbySignal: fc.boolean(), isRunning: fc.boolean() })
          .map((some) => files(some)),
        { nil: undefined },
      ),
    },
    { requiredKeys: ['node'] },
  );
  const looks = fc.uniqueArray(anyNode, { selector: ({ node }) => node }).map((all) => all as readonly NodeFacts[]);

  it('gives every node one role, and a primary only where exactly one server of the cluster accepts writes', () => {
    fc.assert(
      fc.property(looks, fc.option(fc.constantFrom(OURS, OTHERS), { nil: undefined }), (facts, expected) => {
        const topology = topologyOf(facts, expected);
        const parts = [topology.primaries, topology.standbys, topology.stopped, topology.strangers, topology.unreachable];
        expect(parts.flat().map(({ node }) => node)).toHaveLength(facts.length);
        expect(topology.nodes.map(({ node }) => node)).toEqual(facts.map(({ node }) => node));
        const writable = facts.filter(({ server: one }) => one?.inRecovery === false && one.systemIdentifier === topology.systemIdentifier);
        expect(topology.primaries).toHaveLength(writable.length);
        expect(topology.primary?.node).toBe(writable.length === 1 ? writable[0]?.node : undefined);
      }),
    );
  });

  it('never takes a node for one of the cluster whose identifier is another', () => {
    fc.assert(
      fc.property(looks, (facts) => {
        const { systemIdentifier, nodes } = topologyOf(facts);
        for (const { role, facts: one } of nodes) {
          const own = one.server?.systemIdentifier ?? one.files?.systemIdentifier;
          expect(role === 'stranger').toBe(own !== undefined && own !== systemIdentifier);
        }
      }),
    );
  });
});

describe('the slot of a node', () => {
  it.each([
    ['replica-2', 'replica_2'],
    ['Primary.1', 'primary_1'],
    ['a', 'a'],
  ])('of %s is %s', (node, slot) => expect(slotOf(node)).toBe(slot));

  it('is a name that PostgreSQL takes', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'binary' }), (node) => {
        expect(slotOf(node)).toMatch(/^[a-z0-9_]{1,63}$/);
      }),
    );
  });
});
