import { describe, expect, it } from 'vitest';
import { assessCluster } from '../../../../src/domain/health/assess-cluster.ts';
import type { ClusterFacts } from '../../../../src/domain/health/cluster-facts.ts';
import type { Pooler } from '../../../../src/domain/pgbouncer/pooler.ts';
import { addMicros } from '../../../../src/domain/time/instant.ts';
import type { ReplicationFacts, ReplicationSlot, WalSenderFacts } from '../../../../src/domain/topology/replication-facts.ts';
import { type NodeFacts, topologyOf } from '../../../../src/domain/topology/topology.ts';
import { files, lsn, MIB, NOON, OTHERS, OURS, primary, replication, server, standby } from '../topology/facts.ts';

const GIB = 1024n * MIB;
const at = (seconds: number) => addMicros(NOON, BigInt(seconds * 1_000_000));
const slot = (name: string, more: Partial<ReplicationSlot> = {}): ReplicationSlot => ({
  name,
  kind: 'physical',
  active: true,
  temporary: false,
  walStatus: 'reserved',
  retainedBytes: 0n,
  ...more,
});

/** A primary `a` with its slots and settings. */
function ofPrimary(more: Partial<ReplicationFacts> = {}, settings: Readonly<Record<string, string>> = {}): NodeFacts {
  return primary('a', 10n * MIB, {
    settings,
    replication: replication({ inRecovery: false, flushLsn: lsn(10n * MIB), slots: [slot('b')], ...more }),
  });
}

/** A standby `b` that streams from `a`, or does not. */
function ofStandby(more: Partial<ReplicationFacts> = {}, settings: Readonly<Record<string, string>> = {}, isStreaming = true): NodeFacts {
  const place = { received: 10n * MIB, replayed: 10n * MIB, ...(isStreaming ? { of: 'a' } : {}) };
  const facts = standby('b', place, { primaryConnection: { host: 'a', port: 5432, user: 'r' }, ...more });
  return { ...facts, server: { ...facts.server!, settings: { primary_slot_name: 'b', ...settings } } };
}

function assess(nodes: readonly NodeFacts[], more: Partial<ClusterFacts> = {}) {
  return assessCluster({
    now: NOON,
    topology: topologyOf(nodes, OURS),
    lags: new Map(),
    logs: new Map(),
    clocks: [],
    disks: [],
    forecasts: [],
    versions: [],
    poolers: [],
    maxLagBytes: 16n * MIB,
    ownSlots: [],
    ...more,
  });
}

const codes = (findings: ReturnType<typeof assess>) => findings.map(({ code, node }) => (node === undefined ? code : `${code} ${node}`));
const A = ofPrimary();
const B = ofStandby();

describe('a cluster', () => {
  it('that is healthy has no finding', () => expect(assess([A, B])).toEqual([]));

  it('without a primary is critical, and the way out depends on who could become one', () => {
    const gone: NodeFacts = { node: 'a', unreachable: 'connection refused' };
    expect(assess([gone, B])[0]).toMatchObject({ code: 'primary-missing', nextCommand: 'spoke-backup failover --dry-run' });
    expect(assess([gone])[0]).toMatchObject({ code: 'primary-missing', nextCommand: 'spoke-backup status' });
  });

  it('with two primaries is told who they are', () => {
    const [first] = assess([A, primary('z', 1n)]);
    expect(first).toMatchObject({ code: 'primaries-several', severity: 'critical', message: 'several servers accept writes: a, z' });
  });

  it('with a node of another cluster, one that is down, and one that does not answer tells each', () => {
    const found = assess([
      A,
      { node: 'x', server: server({ systemIdentifier: OTHERS }) },
      { node: 'd', files: files({ state: 'in archive recovery', hasStandbySignal: true }) },
      { node: 'u', unreachable: 'no route to host' },
    ]);
    expect(codes(found)).toEqual(['cluster-other x', 'node-down d', 'node-unreachable u']);
    expect(found[1]).toMatchObject({ cause: 'It died, or its machine did.', nextCommand: 'spoke-backup reseed d --dry-run' });
  });
});

describe('a standby that receives nothing', () => {
  const cut = ofStandby({}, {}, false);
  const logged = (line: string) => ({ logs: new Map([['b', `x FATAL:  could not connect to the primary server: ${line}`]]) });

  it.each([
    ['Connection refused', 'replica-network'],
    ['FATAL:  password authentication failed for user "r"', 'replica-password'],
    ['FATAL:  no pg_hba.conf entry for replication connection from host "b"', 'replica-hba'],
    ['FATAL:  role "r" is not permitted to log in', 'replica-role'],
    ['ERROR:  requested WAL segment 000000010000000000000003 has already been removed', 'replica-wal-removed'],
    ['FATAL:  number of requested standby connections exceeds max_wal_senders', 'replica-no-sender'],
  ])('because of %s has the finding %s, with the line as evidence', (line, code) => {
    const [finding, ...others] = assess([A, cut], logged(line));
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ code, node: 'b', severity: 'critical', evidence: [expect.stringContaining(line)] });
  });

  it('lacks its slot, whatever an older line in its log says', () => {
    const found = assess([ofPrimary({ slots: [] }), cut], logged('FATAL:  password authentication failed for user "r"'));
    expect(found).toMatchObject([{ code: 'replica-slot-missing', evidence: ['primary_slot_name: b', 'slots on a: none'] }]);
  });

  it('follows who is no primary', () => {
    const wrong = ofStandby({ primaryConnection: { host: 'x', port: 5432 } }, {}, false);
    const stranger: NodeFacts = { node: 'x', address: { host: 'x', port: 5432 }, server: server({ systemIdentifier: OTHERS }) };
    expect(codes(assess([A, wrong, stranger]))).toContain('replica-wrong-primary b');
    const itself = ofStandby({ primaryConnection: { host: 'b', port: 5432 } }, {}, false);
    expect(assess([A, itself])[0]?.message).toContain('b follows itself');
  });

  it('is told to be unexplained where nothing explains it', () => {
    expect(assess([A, cut])[0]).toMatchObject({
      code: 'replica-not-connected',
      cause: 'Its log, which would tell, cannot be read from here.',
    });
  });

  it('because there is no primary is not told of it as well, unless its log says something else', () => {
    const gone: NodeFacts = { node: 'a', unreachable: 'connection refused' };
    const all = [gone, cut];
    expect(codes(assess(all, logged('Connection refused')))).toEqual(['primary-missing', 'node-unreachable a']);
    expect(codes(assess(all, logged('FATAL:  password authentication failed for user "r"')))).toContain('replica-password b');
  });

  it('is told once where its slot is lost: to be seeded again', () => {
    const lost = ofPrimary({ slots: [slot('b', { active: false, walStatus: 'lost' })] });
    const found = assess([lost, cut]);
    expect(codes(found)).toEqual(['slot-lost b']);
    expect(found[0]?.nextCommand).toBe('spoke-backup reseed b --dry-run');
  });
});

describe('a standby that is behind', () => {
  const lag = (receiveBytes: bigint, replayBytes: bigint) => ({
    lags: new Map([['b', { receiveBytes, replayBytes, bytes: receiveBytes + replayBytes, seconds: 12 }]]),
  });

  it('within what is allowed is no finding', () => expect(assess([A, B], lag(8n * MIB, 8n * MIB))).toEqual([]));

  it('because of the network has not received most', () => {
    expect(assess([A, B], lag(30n * MIB, 2n * MIB))).toMatchObject([
      { code: 'lag-network', message: expect.stringContaining('32 MiB and 12 s') },
    ]);
  });

  it('because of its disk has not replayed most, and says what replay waits for', () => {
    const [finding] = assess([A, ofStandby({ replayWaitsFor: 'DataFileRead' })], lag(2n * MIB, 30n * MIB));
    expect(finding).toMatchObject({
      code: 'lag-replay',
      evidence: expect.arrayContaining(['the startup process waits for: DataFileRead']),
    });
  });

  it('because of a query names the query', () => {
    const waiting = ofStandby({ replayWaitsFor: 'RecoveryConflictSnapshot', oldestQuery: { pid: 77, seconds: 600 } });
    const [finding] = assess([A, waiting], lag(0n, 30n * MIB));
    expect(finding).toMatchObject({ code: 'lag-conflict', nextCommand: expect.stringContaining('pg_cancel_backend(77)') });
  });

  it('because replay is paused is told so, also without any lag', () => {
    expect(codes(assess([A, ofStandby({ replayPaused: true })]))).toEqual(['replay-paused b']);
  });
});

describe('a replication slot', () => {
  it('of nobody is an orphan, unless it is used, temporary, or our own', () => {
    const slots = [
      slot('b'),
      slot('gone', { active: false }),
      slot('backup', { active: true }),
      slot('tmp', { active: false, temporary: true }),
      slot('spoke', { active: false }),
    ];
    const found = assess([ofPrimary({ slots }), B], { ownSlots: ['spoke'] });
    expect(found).toMatchObject([{ code: 'slot-orphaned', nextCommand: `psql -c "SELECT pg_drop_replication_slot('gone')"` }]);
  });

  it.each([
    ['disk full', 3600, 'critical'],
    ['disk full', 10 * 3600, 'warning'],
    ['lost', 3600, 'warning'],
  ] as const)('with %s in %d s is %s', (kind, seconds, severity) => {
    const idle = ofPrimary({ slots: [slot('b', { active: false, retainedBytes: GIB })] });
    const forecasts = [{ node: 'a', slot: 'b', forecast: { kind, at: at(seconds) } }];
    expect(assess([idle, B], { forecasts })).toMatchObject([{ code: 'slot-filling', severity, node: 'b' }]);
  });

  it('that fills something only in days is no finding', () => {
    const idle = ofPrimary({ slots: [slot('b', { active: false, retainedBytes: GIB })] });
    const forecasts = [{ node: 'a', slot: 'b', forecast: { kind: 'disk full', at: at(200_000) } as const }];
    expect(assess([idle, B], { forecasts })).toEqual([]);
  });

  it('that a standby does not have is missed', () => {
    expect(codes(assess([ofPrimary({ slots: [] }), ofStandby({}, { primary_slot_name: '' })]))).toEqual(['replica-without-slot b']);
  });
});

describe('a setting', () => {
  it.each([
    [{ fsync: 'off' }, 'setting-dangerous a', 'critical', 'ALTER SYSTEM SET fsync = on'],
    [{ full_page_writes: 'off' }, 'setting-dangerous a', 'critical', 'ALTER SYSTEM SET full_page_writes = on'],
    [{ wal_log_hints: 'off', data_checksums: 'off' }, 'setting-unfit a', 'warning', 'setup primary'],
    [{ max_slot_wal_keep_size: '-1' }, 'setting-unfit a', 'warning', 'setup primary'],
    [{ wal_level: 'minimal' }, 'setting-unfit a', 'critical', 'setup primary'],
  ])('of the primary like %j is a finding, with what mends it', (settings, code, severity, next) => {
    const found = assess([ofPrimary({}, settings), B]);
    expect(codes(found)).toEqual([code]);
    expect(found[0]?.severity).toBe(severity);
    expect(found[0]?.nextCommand).toContain(next);
  });

  it('that keeps commits waiting for a standby that is not there is critical', () => {
    const settings = { synchronous_standby_names: 'b' };
    const sender: WalSenderFacts = { applicationName: 'b', state: 'streaming', syncState: 'sync' };
    expect(codes(assess([ofPrimary({}, settings), B]))).toEqual(['commits-wait a']);
    expect(assess([ofPrimary({ senders: [sender] }, settings), B])).toEqual([]);
  });

  it('that is lower on a standby than on the primary stops replay', () => {
    const found = assess([ofPrimary({}, { max_connections: '200' }), ofStandby({}, { max_connections: '100' })]);
    expect(found).toMatchObject([
      { code: 'setting-unfit', node: 'b', severity: 'critical', nextCommand: 'spoke-backup setup replica b --dry-run' },
    ]);
    expect(assess([ofPrimary({}, { max_connections: '100' }), ofStandby({}, { max_connections: '200' })])).toEqual([]);
  });
});

describe('PgBouncer', () => {
  const front = (more: Partial<Pooler>): Partial<ClusterFacts> => ({
    poolers: [{ name: 'front', state: 'serving', writers: [], ...more }],
  });

  it('that serves the primary has no finding, whatever else it serves', () => {
    const writers = [
      { database: 'app', host: 'a', port: 5432 },
      { database: 'other', host: 'elsewhere', port: 5432 },
      { database: 'another', host: 'b', port: 5433 },
    ];
    expect(assess([A, B], front({ writers }))).toEqual([]);
    expect(assess([A, B], front({ state: 'unknown', detail: 'no secret' }))).toEqual([]);
  });

  it.each([
    [{ state: 'unreachable', detail: 'connection refused' }, 'pgbouncer-unreachable'],
    [{ state: 'paused', detail: 'app paused' }, 'pgbouncer-paused'],
    [{ writers: [{ database: 'app', host: 'b', port: 5432 }] }, 'pgbouncer-wrong-primary a'],
  ] as const)('like %j keeps applications from writing', (more, code) => {
    const found = assess([A, B], front(more));
    expect(codes(found)).toEqual([code]);
    expect(found[0]?.severity).toBe('critical');
  });

  it('cannot be in front of a wrong primary where there is none', () => {
    const writers = [{ database: 'app', host: 'b', port: 5432 }];
    const gone: NodeFacts = { node: 'a', unreachable: 'connection refused' };
    expect(codes(assess([gone, B], front({ writers })))).not.toContain('pgbouncer-wrong-primary a');
  });
});

describe('a host', () => {
  it('whose clock lies outside of the question is skewed, and to which side', () => {
    const clock = (serverTime: ClusterFacts['now']) => ({ clocks: [{ node: 'b', serverTime, before: NOON, after: at(1) }] });
    expect(assess([A, B], clock(at(0.5)))).toEqual([]);
    expect(assess([A, B], clock(at(5)))).toEqual([]);
    expect(assess([A, B], clock(at(11)))[0]?.message).toBe('the clock of b is 10 s ahead of the one of this host');
    expect(assess([A, B], clock(at(-20)))[0]?.message).toBe('the clock of b is 20 s behind the one of this host');
  });

  it.each([
    [2n * GIB, []],
    [GIB / 2n, ['warning']],
    [GIB / 8n, ['critical']],
  ])('with %d bytes free has findings %j', (freeBytes, severities) => {
    const found = assess([A, B], { disks: [{ node: 'b', path: '/data', freeBytes }] });
    expect(found.map(({ severity }) => severity)).toEqual(severities);
  });

  it('with another version of a program than the others is told', () => {
    const versions = [
      { tool: 'pgbackrest', at: 'here', version: '2.55.1' },
      { tool: 'pgbackrest', at: 'a', version: '2.45' },
      { tool: 'postgresql', at: 'a', version: '17.2' },
      { tool: 'postgresql', at: 'b', version: '17.2' },
    ];
    expect(assess([A, B], { versions })).toMatchObject([
      { code: 'version-mismatch', severity: 'critical', evidence: ['here: 2.55.1', 'a: 2.45'] },
    ]);
  });
});
