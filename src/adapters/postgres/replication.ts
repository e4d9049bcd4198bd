import { timelineIdOf } from '../../domain/postgres/timeline.ts';
import { instantOfMicros } from '../../domain/time/instant.ts';
import type {
  OldestQuery,
  ReplicationFacts,
  ReplicationSlot,
  WalReceiverFacts,
  WalSenderFacts,
} from '../../domain/topology/replication-facts.ts';
import { parseConninfo } from './conninfo.ts';
import { onceMoreAtPromotion } from './promotion.ts';
import { OLDEST_QUERY, REPLICATION_POSITION, REPLICATION_SLOTS, WAL_RECEIVER, WAL_SENDERS } from './replication-statements.ts';
import { booleanOf, onlyRow, optionalInstant, optionalLsn, optionalText, textOf } from './row.ts';
import type { Session, TextRow } from './session.ts';

/** Replication as one server sees it. */
export function observeReplication(session: Session): Promise<ReplicationFacts> {
  return onceMoreAtPromotion(async () => {
    const position = onlyRow(await session.query(REPLICATION_POSITION));
    const [receiver] = await session.query(WAL_RECEIVER);
    const senders = await session.query(WAL_SENDERS);
    const slots = await session.query(REPLICATION_SLOTS);
    const [oldest] = await session.query(OLDEST_QUERY);
    return {
      ...positionOf(position),
      ...(receiver === undefined ? {} : { receiver: receiverOf(receiver) }),
      ...(oldest === undefined ? {} : { oldestQuery: oldestOf(oldest) }),
      senders: senders.map(senderOf),
      slots: slots.map(slotOf),
    };
  });
}

function positionOf(row: TextRow): Omit<ReplicationFacts, 'senders' | 'slots'> {
  const conninfo = row['primary_conninfo'];
  return {
    inRecovery: booleanOf(row, 'in_recovery'),
    serverTime: instantOfMicros(BigInt(textOf(row, 'server_time'))),
    ...optionalLsn('flushLsn', row, 'flush_lsn'),
    ...optionalLsn('receivedLsn', row, 'received_lsn'),
    ...optionalLsn('replayedLsn', row, 'replayed_lsn'),
    ...optionalInstant('replayedCommitTime', row, 'replayed_commit_time'),
    replayPaused: row['pause_state'] === 'paused',
    ...optionalText('replayWaitsFor', row, 'replay_waits_for'),
    ...(conninfo === null || conninfo === undefined || conninfo === '' ? {} : { primaryConnection: parseConninfo(conninfo) }),
    conflicts: {
      snapshot: BigInt(textOf(row, 'snapshot')),
      lock: BigInt(textOf(row, 'lock')),
      others: BigInt(textOf(row, 'others')),
    },
  };
}

function receiverOf(row: TextRow): WalReceiverFacts {
  const timeline = row['received_tli'];
  const port = row['sender_port'];
  return {
    ...optionalText('status', row, 'status'),
    ...(timeline === null || timeline === undefined ? {} : { timeline: timelineIdOf(Number(timeline)) }),
    ...optionalLsn('flushedLsn', row, 'flushed_lsn'),
    ...optionalLsn('latestEndLsn', row, 'latest_end_lsn'),
    ...optionalInstant('latestEndTime', row, 'latest_end_time'),
    ...optionalText('slot', row, 'slot_name'),
    ...optionalText('senderHost', row, 'sender_host'),
    ...(port === null || port === undefined ? {} : { senderPort: Number(port) }),
  };
}

function senderOf(row: TextRow): WalSenderFacts {
  const lag = row['replay_lag'];
  return {
    applicationName: row['application_name'] ?? '',
    state: row['state'] ?? 'unknown',
    syncState: row['sync_state'] ?? 'unknown',
    ...optionalText('clientAddress', row, 'client_address'),
    ...optionalText('user', row, 'user_name'),
    ...optionalText('slot', row, 'slot_name'),
    ...optionalLsn('sentLsn', row, 'sent_lsn'),
    ...optionalLsn('writeLsn', row, 'write_lsn'),
    ...optionalLsn('flushLsn', row, 'flush_lsn'),
    ...optionalLsn('replayLsn', row, 'replay_lsn'),
    ...(lag === null || lag === undefined ? {} : { replayLagSeconds: Number(lag) }),
  };
}

function slotOf(row: TextRow): ReplicationSlot {
  const [safe, retained] = [row['safe_wal_size'], row['retained_bytes']];
  return {
    name: textOf(row, 'slot_name'),
    kind: row['slot_type'] === 'logical' ? 'logical' : 'physical',
    active: booleanOf(row, 'active'),
    temporary: booleanOf(row, 'temporary'),
    ...optionalText('walStatus', row, 'wal_status'),
    ...optionalLsn('restartLsn', row, 'restart_lsn'),
    ...(safe === null || safe === undefined ? {} : { safeWalBytes: BigInt(safe) }),
    ...(retained === null || retained === undefined ? {} : { retainedBytes: BigInt(retained) }),
    ...optionalText('invalidationReason', row, 'invalidation_reason'),
    ...optionalInstant('inactiveSince', row, 'inactive_since'),
  };
}

function oldestOf(row: TextRow): OldestQuery {
  return { pid: Number(textOf(row, 'pid')), ...optionalText('user', row, 'user_name'), seconds: Number(textOf(row, 'seconds')) };
}
