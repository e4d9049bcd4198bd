import { describe, expect, it } from 'vitest';
import type { ClusterConfig, NodeConfig } from '../../../src/config/model.ts';
import { asSpokeError, type ErrorCode } from '../../../src/errors.ts';
import { rootHistory } from '../../../src/domain/postgres/timeline-history.ts';
import { timelineIdOf } from '../../../src/domain/postgres/timeline.ts';
import { ASSUMED_RESEED_RATES, type ReseedFacts } from '../../../src/domain/topology/reseed-facts.ts';
import { chooseReseed } from '../../../src/domain/topology/reseed-method.ts';
import { type NodeFacts, nodeOf, topologyOf } from '../../../src/domain/topology/topology.ts';
import type { DirectoryFacts } from '../../../src/ports/instance.ts';
import { decideReseed } from '../../../src/workflows/reseed/decide.ts';
import type { ReseedRequest, ReseedWorld } from '../../../src/workflows/reseed/request.ts';
import { buildCluster } from '../../fakes/cluster.ts';
import { files, lsn, MIB, OTHERS, OURS, primary, server, standby } from '../domain/topology/facts.ts';
import { DATA, directory } from './reseed-intent.ts';

const OWNER = { uid: 101, gid: 101, name: 'postgres' };
const nodeNamed = (name: string): NodeConfig => ({ name, dataDirectory: DATA, port: 5433, service: { manager: 'pg_ctl' } });
const CLUSTER: ClusterConfig = { ...buildCluster().cluster, nodes: ['a', 'b', 'c'].map(nodeNamed) };
const following = (name: string) => standby(name, { received: 1n, replayed: 1n });
const STOPPED = { owner: OWNER, identity: '1:10' };

const FACTS: ReseedFacts = {
  primary: {
    node: 'a',
    systemIdentifier: OURS,
    postgresMajor: 17,
    walSegmentSizeBytes: Number(16n * MIB),
    history: rootHistory(timelineIdOf(1)),
    flushLsn: lsn(2000n * MIB),
    databaseBytes: 100n * MIB,
    fullPageWrites: true,
    hasFreeSender: true,
  },
  target: files({ dataChecksums: true, checkpointLsn: lsn(1990n * MIB), hasStandbySignal: true }),
  snapshots: [],
  standbys: [],
  deltaFrom: [],
  rates: ASSUMED_RESEED_RATES,
};

interface Change {
  readonly nodes?: readonly NodeFacts[];
  readonly facts?: Partial<ReseedFacts>;
  readonly directory?: Partial<DirectoryFacts>;
  readonly cluster?: Partial<ClusterConfig>;
  readonly wish?: ReseedRequest['wish'];
  readonly seeding?: Partial<NonNullable<ReseedWorld['seeding']>>;
}

function worldOf(change: Change): [ReseedRequest, ReseedWorld] {
  const cluster = { ...CLUSTER, ...change.cluster };
  const request: ReseedRequest = { cluster, node: 'c', wish: change.wish ?? {}, keepOld: false, suffix: 'k3f9' };
  const topology = topologyOf(change.nodes ?? [primary('a', 2000n * MIB), following('b'), { node: 'c', files: files({}) }]);
  const there = directory(DATA, { ...STOPPED, ...change.directory });
  const facts = { ...FACTS, ...change.facts };
  const role = nodeOf(topology, 'c');
  if (role === undefined) throw new Error('there is no c');
  const seeding = {
    facts,
    choice: chooseReseed(facts, request.wish),
    directory: there,
    owner: OWNER,
    currentUser: OWNER,
    installation: { major: 17, version: '17.2', binDirectory: '/usr/lib/postgresql/17/bin' },
    addresses: new Map(['a', 'b', 'c'].map((name) => [name, { host: `${name}.example.org`, port: 5432 }])),
    hasReplicationPassword: true,
    front: { nodes: [], bouncers: [] },
    unusable: [],
    ...change.seeding,
  };
  return [
    request,
    {
      nodes: [],
      topology,
      repositories: { snapshots: [], unreadable: [] },
      target: { node: nodeNamed('c'), directory: there },
      role,
      ...(role.role === 'primary' || role.role === 'stranger' || topology.primary === undefined ? {} : { seeding }),
    },
  ];
}

const decide = (change: Change = {}) => decideReseed(...worldOf(change));

function refusalOf(change: Change) {
  try {
    decide(change);
  } catch (thrown) {
    return asSpokeError(thrown);
  }
  throw new Error('it was not refused');
}

describe('what is decided of a reseed', () => {
  it('names what was confirmed, and holds no password', () => {
    const intent = decide();
    expect(intent).toMatchObject({
      method: 'rewind',
      source: { kind: 'primary', name: 'a' },
      destinationIdentity: '1:10',
      oldDataDirectory: null,
      slot: 'c',
      port: 5433,
      maxLagBytes: '16777216',
      passfile: { path: `${DATA}.pgpass`, role: 'replicator' },
    });
    expect(intent.conninfo).toBe(`host=a.example.org port=5432 user=replicator passfile=${DATA}.pgpass sslmode=prefer application_name=c`);
    expect(intent.settings).toMatchObject({ primary_slot_name: 'c', recovery_target_timeline: 'latest' });
    expect(intent.passfile?.servers.map(({ host }) => host)).toEqual(['a.example.org', 'b.example.org']);
  });

  it('keeps the old data beside where something takes its place, and nothing where nothing was there', () => {
    expect(decide({ wish: { method: 'basebackup' } }).oldDataDirectory).toBe(`${DATA}.old-k3f9`);
    const { target: _none, ...rest } = FACTS;
    const nothing = worldOf({ directory: { kind: 'absent' } });
    const seeding = nothing[1].seeding;
    if (seeding === undefined) throw new Error('nothing is seeded');
    const { identity: _gone, ...absent } = seeding.directory;
    const choice = chooseReseed(rest);
    const intent = decideReseed(nothing[0], { ...nothing[1], seeding: { ...seeding, facts: rest, choice, directory: absent } });
    expect(intent).toMatchObject({ method: 'basebackup', oldDataDirectory: null, destinationIdentity: null });
  });

  it('connects to the standby that it copies from, and follows the primary all the same', () => {
    const intent = decide({
      wish: { method: 'basebackup', from: 'b' },
      facts: { standbys: [{ node: 'b', replayedLsn: lsn(2000n * MIB), lagBytes: 0n }] },
    });
    expect(intent.conninfo).toContain('host=b.example.org ');
    expect(intent.settings['primary_conninfo']).toContain('host=a.example.org ');
  });

  it.each<[string, Change, ErrorCode, string]>([
    ['a primary', { nodes: [following('a'), following('b'), primary('c', 9n)] }, 'REFUSED_PRECONDITION', 'c is a primary'],
    ['one of two primaries', { nodes: [primary('a', 9n), following('b'), primary('c', 9n)] }, 'REFUSED_PRECONDITION', 'c is a primary'],
    [
      'a server of another cluster',
      { nodes: [primary('a', 9n), following('b'), { node: 'c', server: server({ systemIdentifier: OTHERS }) }] },
      'REFUSED_WRONG_CLUSTER',
      'of another cluster',
    ],
    [
      'files of another cluster',
      { nodes: [primary('a', 9n), following('b'), { node: 'c', files: files({ systemIdentifier: OTHERS }) }] },
      'REFUSED_WRONG_CLUSTER',
      'of another cluster',
    ],
    [
      'anything where it cannot be told which of two clusters is meant',
      { nodes: [primary('a', 9n), { node: 'c', files: files({ systemIdentifier: OTHERS }) }] },
      'REFUSED_WRONG_CLUSTER',
      'cannot be told',
    ],
    [
      'a server that does not say what it is and has no standby.signal',
      { directory: { running: { evidence: 'postmaster.pid' }, hasStandbySignal: false } },
      'REFUSED_PRECONDITION',
      'may be a primary',
    ],
    ['without a primary', { nodes: [following('b'), { node: 'c', files: files({}) }] }, 'POSTGRES_UNAVAILABLE', 'no primary answers'],
    ['a directory of somebody else', { directory: { kind: 'other' } }, 'REFUSED_UNSAFE_DIRECTORY', 'something else'],
    ['a directory that may never be one', { directory: { forbidden: 'it is a home directory' } }, 'REFUSED_UNSAFE_DIRECTORY', 'home'],
    [
      'what Patroni manages',
      { cluster: { patroni: { urls: ['http://a:8008'], scope: 'main' } } },
      'REFUSED_PRECONDITION',
      'Patroni manages',
    ],
    ['where nothing may be written beside', { directory: { parentWritable: false } }, 'REFUSED_PRECONDITION', 'nothing can be written'],
    ['as somebody else', { seeding: { currentUser: { uid: 7, gid: 7, name: 'eve' } } }, 'REFUSED_PRECONDITION', 'belongs to postgres'],
    ['by a method that is not possible', { wish: { method: 'delta' } }, 'REFUSED_PRECONDITION', 'no such method and source'],
  ])('is not to seed %s', (_what, change, code, message) => {
    const refusal = refusalOf(change);
    expect(refusal.code).toBe(code);
    expect(refusal.message).toContain(message);
    expect([12, 20]).toContain(refusal.exitCode);
  });

  it('warns where the old data was a primary, and where it cannot be started half-way', () => {
    const formerPrimary = { node: 'c', files: files({ hasStandbySignal: false }) };
    const { warnings } = decide({ nodes: [primary('a', 9n), following('b'), formerPrimary] });
    expect(warnings.join('\n')).toContain('c was a primary');
    expect(warnings.join('\n')).toContain('the run is resumed then');
  });
});
