import { type Lsn, lsnOf } from '../../../../src/domain/postgres/lsn.ts';
import type { SystemIdentifier } from '../../../../src/domain/postgres/system-identifier.ts';
import { timelineIdOf } from '../../../../src/domain/postgres/timeline.ts';
import { type Instant, instantOfSeconds } from '../../../../src/domain/time/instant.ts';
import type { ReplicationFacts } from '../../../../src/domain/topology/replication-facts.ts';
import type { FileFacts, NodeFacts, ServerFacts } from '../../../../src/domain/topology/topology.ts';

export const OURS = 7_000_000_000_000_000_001n as SystemIdentifier;
export const OTHERS = 7_000_000_000_000_000_002n as SystemIdentifier;
export const NOON: Instant = instantOfSeconds(1_795_608_000);
export const MIB = 1024n * 1024n;

export const lsn = (bytes: bigint | number): Lsn => lsnOf(BigInt(bytes));

export function replication(overrides: Partial<ReplicationFacts> = {}): ReplicationFacts {
  return {
    inRecovery: true,
    serverTime: NOON,
    replayPaused: false,
    senders: [],
    slots: [],
    conflicts: { snapshot: 0n, lock: 0n, others: 0n },
    ...overrides,
  };
}

export function server(overrides: Partial<ServerFacts> = {}): ServerFacts {
  return {
    systemIdentifier: OURS,
    postgresMajor: 17,
    timeline: timelineIdOf(1),
    inRecovery: true,
    walSegmentSizeBytes: Number(16n * MIB),
    settings: {},
    ...overrides,
  };
}

export function primary(node: string, flushed: bigint, overrides: Partial<ServerFacts> = {}): NodeFacts {
  const facts = replication({ inRecovery: false, flushLsn: lsn(flushed) });
  return { node, address: { host: node, port: 5432 }, server: server({ inRecovery: false, replication: facts, ...overrides }) };
}

export function standby(
  node: string,
  at: { readonly received: bigint; readonly replayed: bigint; readonly of?: string; readonly timeline?: number },
  more: Partial<ReplicationFacts> = {},
): NodeFacts {
  const receiver = at.of === undefined ? {} : { receiver: { status: 'streaming', senderHost: at.of, senderPort: 5432 } };
  const facts = replication({ receivedLsn: lsn(at.received), replayedLsn: lsn(at.replayed), ...receiver, ...more });
  return {
    node,
    address: { host: node, port: 5432 },
    server: server({ timeline: timelineIdOf(at.timeline ?? 1), replication: facts }),
  };
}

export function files(overrides: Partial<FileFacts> = {}): FileFacts {
  return {
    systemIdentifier: OURS,
    timeline: timelineIdOf(1),
    state: 'shut down',
    checkpointLsn: lsn(10n * MIB),
    hasStandbySignal: false,
    hasRecoverySignal: false,
    isRunning: false,
    dataChecksums: false,
    ...overrides,
  };
}
