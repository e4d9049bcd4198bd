import { describe, expect, it } from 'vitest';
import type { ClusterConfig, NodeConfig } from '../../../src/config/model.ts';
import { timelineIdOf } from '../../../src/domain/postgres/timeline.ts';
import { ASSUMED_RESEED_RATES, type ReseedFacts } from '../../../src/domain/topology/reseed-facts.ts';
import { chooseReseed } from '../../../src/domain/topology/reseed-method.ts';
import { type FileFacts, type NodeFacts, nodeOf, topologyOf } from '../../../src/domain/topology/topology.ts';
import { asSpokeError } from '../../../src/errors.ts';
import { decideRejoin } from '../../../src/workflows/rejoin/decide.ts';
import type { ReseedRequest, ReseedWorld } from '../../../src/workflows/reseed/request.ts';
import { buildCluster } from '../../fakes/cluster.ts';
import { files, lsn, MIB, OTHERS, OURS, primary, server, standby } from '../domain/topology/facts.ts';
import { DATA, directory } from './reseed-intent.ts';

const OWNER = { uid: 101, gid: 101, name: 'postgres' };
const [ONE, TWO] = [timelineIdOf(1), timelineIdOf(2)];
const nodeNamed = (name: string): NodeConfig => ({ name, dataDirectory: DATA, port: 5433, service: { manager: 'pg_ctl' } });
const CLUSTER: ClusterConfig = { ...buildCluster().cluster, nodes: ['a', 'b', 'c'].map(nodeNamed) };

/** b was promoted at 1000 MiB; c is the old primary, which crashed after that. */
const PRIMARY = primary('b', 1100n * MIB, { timeline: TWO });
const OLD = files({ state: 'in production', dataChecksums: true, checkpointLsn: lsn(990n * MIB), hasStandbySignal: true });
const FACTS: Omit<ReseedFacts, 'target'> = {
  primary: {
    node: 'b',
    systemIdentifier: OURS,
    postgresMajor: 17,
    walSegmentSizeBytes: Number(16n * MIB),
    history: { timeline: TWO, ancestors: [{ timeline: ONE, switchLsn: lsn(1000n * MIB), reason: '' }] },
    flushLsn: lsn(1100n * MIB),
    // A copy of it would move less than pg_rewind.
    databaseBytes: 10n * MIB,
    fullPageWrites: true,
    hasFreeSender: true,
  },
  snapshots: [],
  standbys: [],
  deltaFrom: [],
  rates: ASSUMED_RESEED_RATES,
};

function rejoin(nodes: readonly NodeFacts[], target: FileFacts = OLD, cluster: Partial<ClusterConfig> = {}) {
  const request: ReseedRequest = { cluster: { ...CLUSTER, ...cluster }, node: 'c', wish: {}, keepOld: false, suffix: 'k3f9' };
  const topology = topologyOf(nodes);
  const role = nodeOf(topology, 'c');
  if (role === undefined) throw new Error('there is no c');
  const there = directory(DATA, { owner: OWNER, identity: '1:10' });
  const facts = { ...FACTS, target };
  const seeding = {
    facts,
    choice: chooseReseed(facts, {}),
    directory: there,
    owner: OWNER,
    currentUser: OWNER,
    installation: { major: 17, version: '17.2', binDirectory: '/usr/lib/postgresql/17/bin' },
    addresses: new Map(['a', 'b', 'c'].map((name) => [name, { host: name, port: 5432 }])),
    hasReplicationPassword: false,
    front: { nodes: [], bouncers: [] },
    unusable: [],
  };
  const isSeedable = role.role !== 'primary' && role.role !== 'stranger' && topology.primary !== undefined;
  const world: ReseedWorld = {
    nodes: [],
    topology,
    repositories: { snapshots: [], unreadable: [] },
    target: { node: nodeNamed('c'), directory: there },
    role,
    ...(isSeedable ? { seeding } : {}),
  };
  return decideRejoin(request, world);
}

function refusalOf(...among: Parameters<typeof rejoin>) {
  try {
    rejoin(...among);
  } catch (thrown) {
    return asSpokeError(thrown);
  }
  throw new Error('it was not refused');
}

describe('what is decided of a rejoin', () => {
  it('is pg_rewind where that is possible, though another way would move less', () => {
    const decided = rejoin([PRIMARY, { node: 'c', files: OLD }]);
    expect(decided).toMatchObject({ kind: 'reseed', intent: { method: 'rewind', primary: 'b', destinationIdentity: '1:10' } });
  });

  it('is the cheapest other way where it is not', () => {
    const target = { ...OLD, dataChecksums: false };
    expect(rejoin([PRIMARY, { node: 'c', files: target }], target)).toMatchObject({ kind: 'reseed', intent: { method: 'basebackup' } });
  });

  it('is nothing for a standby that streams from the primary on its timeline', () => {
    const good = standby('c', { received: 1n, replayed: 1n, of: 'b', timeline: 2 });
    expect(rejoin([PRIMARY, good])).toEqual({ kind: 'nothing to do', primary: 'b', timeline: 2 });
  });

  it.each([
    ['that streams from nobody', standby('c', { received: 1n, replayed: 1n, timeline: 2 })],
    ['that is on another timeline', standby('c', { received: 1n, replayed: 1n, of: 'b', timeline: 1 })],
  ])('seeds a standby %s', (_what, node) => {
    expect(rejoin([PRIMARY, node])).toMatchObject({ kind: 'reseed' });
  });

  it('refuses a second primary that runs, and names the command that stops it', () => {
    const { code, message, hint } = refusalOf([PRIMARY, primary('c', 1200n * MIB)]);
    expect(code).toBe('REFUSED_PRECONDITION');
    expect(message).toContain('c (timeline 1) runs as a second primary beside b (timeline 2)');
    expect(hint).toContain(`pg_ctl stop -D ${DATA} -m fast`);
    expect(hint).toContain('spoke-backup rejoin c');
  });

  it('does not say that the newest of two primaries is the wrong one', () => {
    const { hint } = refusalOf([PRIMARY, primary('c', 1200n * MIB, { timeline: timelineIdOf(3) })]);
    expect(hint).toContain('stop b on its host');
    expect(hint).toContain('spoke-backup rejoin b');
  });

  it.each<[string, readonly NodeFacts[], string, string]>([
    ['the only primary', [standby('b', { received: 1n, replayed: 1n }), primary('c', 9n)], 'REFUSED_PRECONDITION', 'switchover'],
    ['without a primary', [standby('b', { received: 1n, replayed: 1n }), { node: 'c', files: OLD }], 'POSTGRES_UNAVAILABLE', 'failover'],
    [
      'one of another cluster',
      [PRIMARY, standby('a', { received: 1n, replayed: 1n }), { node: 'c', server: server({ systemIdentifier: OTHERS }) }],
      'REFUSED_WRONG_CLUSTER',
      '',
    ],
  ])('refuses %s', (_what, nodes, code, hint) => {
    const refusal = refusalOf(nodes);
    expect(refusal.code).toBe(code);
    expect(refusal.hint).toContain(hint);
  });

  it('leaves a cluster of Patroni to it', () => {
    const { message } = refusalOf([PRIMARY, primary('c', 9n)], OLD, { patroni: { urls: ['http://a:8008'], scope: 'main' } });
    expect(message).toContain('Patroni manages');
  });
});
