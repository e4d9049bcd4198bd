import { describe, expect, it } from 'vitest';
import { renderStatus, statusToJson } from '../../../src/cli/render/status.ts';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import type { ArchiveFacts } from '../../../src/domain/health/archive-facts.ts';
import { walRateOf } from '../../../src/domain/health/wal-rate.ts';
import { formatInstantUtc } from '../../../src/domain/time/instant.ts';
import type { ReplicationSlot } from '../../../src/domain/topology/replication-facts.ts';
import { topologyOf } from '../../../src/domain/topology/topology.ts';
import { lagsOf } from '../../../src/workflows/observe-topology.ts';
import { slotsOf } from '../../../src/workflows/status/slots.ts';
import type { ClusterStatus } from '../../../src/workflows/status/status.ts';
import { files, lsn, MIB, NOON, primary, replication, standby } from '../domain/topology/facts.ts';

const SLOT: ReplicationSlot = {
  name: 'c_1',
  kind: 'physical',
  active: false,
  temporary: false,
  walStatus: 'extended',
  retainedBytes: 900n * MIB,
};

/** WAL was written at 1 MiB a second since the newest backup, 1000 seconds ago. */
const BEFORE = 1_000_000_000n;
const ARCHIVE = {
  now: NOON,
  primary: {
    node: 'a',
    systemIdentifier: 1n,
    timeline: 1,
    insertLsn: lsn(2000n * MIB),
    serverTime: NOON,
    walFreeBytes: 50n * MIB,
  },
  snapshots: [
    {
      repository: 'local' as RepositoryName,
      backups: [{ systemIdentifier: 1n, timeline: 1, startTime: NOON - BEFORE, startLsn: lsn(1000n * MIB) }],
    },
  ],
  samples: [],
} as unknown as ArchiveFacts;

function look(keepMib: string) {
  const facts = replication({ inRecovery: false, flushLsn: lsn(2000n * MIB), slots: [SLOT] });
  const topology = topologyOf([
    primary('a', 2000n * MIB, { replication: facts, settings: { max_slot_wal_keep_size: keepMib } }),
    standby('b', { received: 1999n * MIB, replayed: 1990n * MIB, of: 'a' }, { replayedCommitTime: (NOON - 7_000_000n) as typeof NOON }),
    { node: 'c-1', unreachable: 'connection refused', files: files({ hasStandbySignal: true, state: 'shut down in recovery' }) },
  ]);
  const status: ClusterStatus = {
    now: NOON,
    nodes: [],
    topology,
    lags: lagsOf(topology),
    slots: slotsOf(topology, ARCHIVE),
    poolers: [{ name: 'front', state: 'serving', detail: 'clients: 3 active', writers: [] }],
    nextRuns: [
      { schedule: 'weekly', kind: 'verify' },
      { schedule: 'daily', kind: 'backup', type: 'full', at: (NOON + 3_600_000_000n) as typeof NOON },
    ],
    repositories: [],
    hasGaps: false,
    findings: [],
  };
  return status;
}

describe('the status of a whole cluster', () => {
  it('takes the speed of WAL from the newest backup where nobody has looked before', () => {
    expect(walRateOf(ARCHIVE)).toBe(Number(MIB));
  });

  it('tells of a slot that nobody reads which comes first: the end of what it may hold, or of the disk', () => {
    expect(look('-1').slots).toMatchObject([{ node: 'a', of: 'c-1', forecast: { kind: 'disk full', at: NOON + 50_000_000n } }]);
    expect(look('910').slots).toMatchObject([{ forecast: { kind: 'lost', at: NOON + 10_000_000n } }]);
  });

  it('shows on one screen who is what, how far behind, and what comes next', () => {
    const text = renderStatus(look('-1'), undefined);
    expect(text).toMatch(/^c-1 +stopped standby +1 +shut down in recovery; connection refused$/m);
    expect(text).toMatch(/^c_1 +a +c-1 +inactive, extended +900 MiB +disk full in 50 s$/m);
    expect(text).toContain('pgbouncer front: serving, clients: 3 active');
    expect(text).toContain(`next: daily in 1 h, ${formatInstantUtc((NOON + 3_600_000_000n) as typeof NOON, { fraction: 'none' })}`);
    expect(text).not.toContain('weekly');
    expect(text.split('\n').length).toBeLessThan(25);
  });

  it('is all in its JSON, with numbers', () => {
    const status = look('-1');
    const nodes = status.topology.nodes.map(({ node }) => ({ node: { name: node, service: { manager: 'pg_ctl' } as const } }));
    expect(statusToJson({ ...status, nodes }, () => 'pgbackrest')).toMatchObject({
      primary: 'a',
      nodes: [
        { state: 'primary', lag: null },
        {
          state: 'standby',
          upstream: { kind: 'node', node: 'a' },
          lag: { bytes: Number(10n * MIB), receiveBytes: Number(MIB), replayBytes: Number(9n * MIB), seconds: 7 },
        },
        { state: 'stopped', role: 'unreachable' },
      ],
      slots: [{ name: 'c_1', node: 'a', of: 'c-1', active: false, forecast: { kind: 'disk full' } }],
      pgbouncer: [{ name: 'front', state: 'serving', detail: 'clients: 3 active' }],
      nextRuns: [
        { schedule: 'weekly', at: null },
        { schedule: 'daily', type: 'full' },
      ],
    });
  });
});
