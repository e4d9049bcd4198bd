import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ClusterConfig, NodeConfig } from '../../../src/config/model.ts';
import { type NodeFacts, topologyOf } from '../../../src/domain/topology/topology.ts';
import { decideFailover, type FailoverRequest } from '../../../src/workflows/failover/decide.ts';
import { planFailover } from '../../../src/workflows/failover/plan.ts';
import { timelineIdOf } from '../../../src/domain/postgres/timeline.ts';
import type { DirectoryFacts, WalEnd } from '../../../src/ports/instance.ts';
import type { NodeObservation } from '../../../src/workflows/observe-cluster.ts';
import { files, lsn, MIB, OURS, primary, standby } from '../domain/topology/facts.ts';
import { FRONT } from './switchover-world.ts';

const node = (name: string): NodeConfig => ({ name, service: { manager: 'pg_ctl' } });
const B = standby('b', { received: 10n * MIB, replayed: 10n * MIB });
const C = standby('c', { received: 9n * MIB, replayed: 9n * MIB });
const GONE: NodeFacts = { node: 'a', address: { host: 'a.lan', port: 5432 }, unreachable: 'no route' };

function clusterOf(fenceCommand?: readonly string[]): ClusterConfig {
  const failover = { maxLagMib: 16, timeoutSeconds: 60, ...(fenceCommand === undefined ? {} : { fenceCommand }) };
  return { name: 'main', failover, nodes: ['a', 'b', 'c'].map(node) } as unknown as ClusterConfig;
}

function decide(
  facts: readonly NodeFacts[],
  request: Partial<FailoverRequest> = {},
  cluster = clusterOf(),
  walEnds: ReadonlyMap<string, WalEnd> = new Map(),
) {
  const nodes = facts.map((one): NodeObservation => ({ node: node(one.node), ...directoryOf(one) }));
  return decideFailover(
    cluster,
    { run: 'run', thenBackup: false, fenced: [], ...request },
    { nodes, topology: topologyOf(facts, OURS) },
    { snapshots: [], walEnds },
  );
}

function directoryOf({ node: name, files: found }: NodeFacts): Partial<NodeObservation> {
  if (found === undefined) return {};
  const control = { systemIdentifier: found.systemIdentifier };
  return { directory: { path: `/data/${name}`, identity: '1:2', postgresMajor: 17, control } as unknown as DirectoryFacts };
}

const STOPPED: NodeFacts = { ...GONE, files: files({ state: 'shut down', checkpointLsn: lsn(12n * MIB) }) };

describe('what a failover does with the old primary', () => {
  it('is refused while that answers', () => {
    expect(() => decide([primary('a', MIB), B])).toThrow('a is the primary, and answers');
  });

  it('is refused where nobody knows what it does: it may accept writes', () => {
    expect(() => decide([GONE, B])).toThrow('a does not answer, and may still accept writes');
    expect(() => decide([GONE, B], { fenced: ['b'] })).toThrow('may still accept writes');
  });

  it('stops it on its host where that answers, rather than believe a command or a word', () => {
    const { intent } = decide([STOPPED, B], { fenced: ['a'] }, clusterOf(['/fence', '{node}']));
    expect(intent.fences).toMatchObject([{ kind: 'stopped', server: { node: 'a', dataDirectory: '/data/a', identity: '1:2' } }]);
  });

  it('fences it by the command of the configuration, which is told who is meant', () => {
    const { intent } = decide([GONE, B], {}, clusterOf(['/fence', '--host={host}', '{node}']));
    expect(intent.fences).toEqual([{ kind: 'command', node: 'a', command: ['/fence', '--host=a.lan', 'a'] }]);
  });

  it('takes the operator at his word, unless a standby still streams from it', () => {
    expect(decide([GONE, B], { fenced: ['a'] }).intent.fences).toEqual([{ kind: 'declared', node: 'a' }]);
    const fed = standby('b', { received: 10n * MIB, replayed: 10n * MIB, of: 'a.lan' });
    expect(() => decide([GONE, fed], { fenced: ['a'] })).toThrow('b still streams from it');
    // By another address than the configuration has, or one that is not told.
    const elsewhere = standby('b', { received: 10n * MIB, replayed: 10n * MIB, of: '10.0.0.7' });
    expect(() => decide([GONE, elsewhere], { fenced: ['a'] })).toThrow('b still streams from 10.0.0.7:5432, which may be a');
    const hidden = standby('b', { received: 10n * MIB, replayed: 10n * MIB }, { receiver: { status: 'streaming' } });
    expect(() => decide([GONE, hidden], { fenced: ['a'] })).toThrow('which may be a');
    const cascaded = standby('c', { received: 9n * MIB, replayed: 9n * MIB, of: 'b' });
    expect(decide([GONE, B, cascaded], { fenced: ['a'] }).intent.to).toBe('b');
  });

  it('has a fence for each node that is not seen to be a standby, before the one promotion', () => {
    const anyNode = fc.constantFrom<NodeFacts>(
      { node: 'n', unreachable: 'no route' },
      { node: 'n', files: files({ isRunning: true }) },
      { node: 'n', files: files() },
      { node: 'n', files: files({ hasStandbySignal: true }) },
      standby('n', { received: 5n * MIB, replayed: 5n * MIB }),
    );
    fc.assert(
      fc.property(fc.array(anyNode, { maxLength: 4 }), (found) => {
        const others = found.map((one, index) => ({ ...one, node: `n${index}` }));
        const facts = [B, ...others];
        const { intent } = decide(facts, { fenced: others.map((one) => one.node) });
        const topology = topologyOf(facts, OURS);
        const doubtful = topology.nodes
          .filter(({ role }) => role !== 'standby')
          .filter((one) => !(one.role === 'stopped' && one.wouldBe === 'standby'));
        expect(intent.fences).toHaveLength(doubtful.length);
        const { steps } = planFailover(intent, {
          topology,
          limitMs: 1000,
          follow: new Map(),
          following: new Set(),
          bouncers: [],
          passfiles: new Map(),
        });
        const promotion = steps.findIndex(({ kind }) => kind === 'promote-standby');
        expect(steps.filter(({ kind }) => kind === 'promote-standby')).toHaveLength(1);
        expect(steps.slice(0, promotion).map(({ kind }) => kind)).toEqual([
          ...intent.fences.flatMap(({ kind }) => (kind === 'stopped' ? ['stop-primary'] : [])),
          'compare-candidates',
        ]);
        expect(steps[promotion]).toMatchObject({ fences: intent.fences, others: others.map((one) => one.node) });
      }),
    );
  });
});

describe('what a failover says that it loses', () => {
  it('is exact where the old primary was shut down: up to its last checkpoint', () => {
    expect(decide([STOPPED, B]).intent.lost).toMatchObject({
      fromLsn: '0/A00000',
      toLsn: '0/C00000',
      bytes: Number(2n * MIB),
      isExact: true,
    });
  });

  it('is nothing where the candidate is past the shutdown checkpoint', () => {
    const stopped = { ...GONE, files: files({ state: 'shut down', checkpointLsn: lsn(10n * MIB - 120n) }) };
    expect(decide([stopped, B]).intent.lost).toMatchObject({ bytes: 0, isExact: true });
  });

  const KILLED: NodeFacts = { ...GONE, files: files({ state: 'in production', checkpointLsn: lsn(8n * MIB) }) };
  const endingAt = (end: bigint, timeline = 1) => new Map([['a', { timeline: timelineIdOf(timeline), lsn: lsn(end) }]]);

  it('is exact where the old primary was killed, and its files say where its WAL ends', () => {
    const { intent } = decide([KILLED, B], {}, clusterOf(), endingAt(11n * MIB));
    expect(intent.lost).toMatchObject({ fromLsn: '0/A00000', toLsn: '0/B00000', isExact: true });
  });

  it('is not exact where a server may still run there, or the files are of another timeline', () => {
    const running: NodeFacts = { ...KILLED, files: files({ state: 'in production', isRunning: true, checkpointLsn: lsn(8n * MIB) }) };
    expect(decide([running, B], {}, clusterOf(), endingAt(11n * MIB)).intent.lost.isExact).toBe(false);
    expect(decide([KILLED, B], {}, clusterOf(), endingAt(11n * MIB, 2)).intent.lost.isExact).toBe(false);
    expect(decide([KILLED, B]).intent.lost.isExact).toBe(false);
  });

  it('is at least what another standby has more, where one is asked for that has less', () => {
    const { intent } = decide([GONE, B, C], { fenced: ['a'], to: 'c' });
    expect(intent).toMatchObject({ to: 'c', lost: { fromLsn: '0/900000', toLsn: '0/A00000', isExact: false } });
  });
});

describe('the plan of a failover', () => {
  it.each([
    // Clients may wait at PgBouncer for a server that will never answer: until TCP gives up, a quarter of an hour later.
    [
      'closes what PgBouncer has open before it leads to the new primary',
      FRONT,
      ['evict-from-pgbouncer', 'repoint-pgbouncer', 'resume-pgbouncer'],
    ],
    [
      'goes on so where it was interrupted before PgBouncer leads there',
      { ...FRONT, paused: ['app'] },
      ['evict-from-pgbouncer', 'repoint-pgbouncer', 'resume-pgbouncer'],
    ],
    ['lets clients go on where it was interrupted afterwards', { ...FRONT, paused: ['app'], present: 'b' }, ['resume-pgbouncer']],
    ['closes nothing twice', { ...FRONT, present: 'b' }, []],
    ['writes the file of a PgBouncer that cannot be asked', { ...FRONT, databases: [], unreachable: 'refused' }, ['repoint-pgbouncer']],
  ])('%s', (_what, bouncer, expected) => {
    const { intent } = decide([GONE, B], { fenced: ['a'] });
    const topology = topologyOf([GONE, B], OURS);
    const facts = { topology, limitMs: 1000, follow: new Map(), following: new Set<string>(), bouncers: [bouncer], passfiles: new Map() };
    const kinds = planFailover(intent, facts).steps.map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind.endsWith('-pgbouncer'))).toEqual(expected);
  });

  it('is refused once somebody else is a primary', () => {
    const { intent } = decide([GONE, B], { fenced: ['a'] });
    const topology = topologyOf([primary('a', MIB), B], OURS);
    expect(() =>
      planFailover(intent, { topology, limitMs: 1000, follow: new Map(), following: new Set(), bouncers: [], passfiles: new Map() }),
    ).toThrow('a is a primary');
  });
});
