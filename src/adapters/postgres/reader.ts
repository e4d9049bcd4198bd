import { SpokeError } from '../../errors.ts';
import type { BackupTablespace } from '../../domain/catalog/base-backup.ts';
import type { ArchiveQueue, SlotFacts } from '../../domain/health/archive-facts.ts';
import { instantOfMicros } from '../../domain/time/instant.ts';
import { parseSystemIdentifier } from '../../domain/postgres/system-identifier.ts';
import type { WalSummary } from '../../domain/native/wal-summaries.ts';
import { formatLsn, type Lsn, parseLsn } from '../../domain/postgres/lsn.ts';
import { parseTimelineHistory, type TimelineHistory } from '../../domain/postgres/timeline-history.ts';
import { type TimelineId, timelineIdOf } from '../../domain/postgres/timeline.ts';
import type {
  ArchiverStatistics,
  PostgresReader,
  RecoveryState,
  ReplicationConnection,
  SeedSourceObservation,
  ServerObservation,
  SummaryObservation,
  StreamingObservation,
  WalObservation,
} from '../../ports/postgres-server.ts';
import { observeReplication } from './replication.ts';
import { onceMoreAtPromotion } from './promotion.ts';
import { quoteLiteral } from './quote.ts';
import { booleanOf, onlyRow, optionalInstant, optionalLsn, optionalText, textOf } from './row.ts';
import { type Session, type TextRow, withSession } from './session.ts';
import {
  ARCHIVE_QUEUE,
  ARCHIVER,
  CLUSTER_SIZE,
  FREE_SENDERS,
  MAY_LIST_WAL,
  OLDEST_WAL,
  PENDING_RESTART,
  POSITION,
  REPLICATION,
  SETTINGS,
  SLOTS,
  SUMMARIZER,
  summariesAfter,
  streamingOf,
  SYSTEM_IDENTIFIER,
  TABLESPACES,
  TIMELINE_OF_REPLAY,
  timelineHistory,
  VERSION_NUMBER,
  WAL_SIZE,
} from './statements.ts';

const OPTIONS = { defaultTimeoutMs: 15_000, writing: false };

/** Reads servers by SQL. Any role that may log in will do; what it may not read is absent. */
export function createPostgresReader(): PostgresReader {
  return {
    observeServer: (address, context) => withSession(address, context, OPTIONS, observeServer),
    observeRecovery: (address, context) => withSession(address, context, OPTIONS, observeRecovery),
    observeWal: (address, context) => withSession(address, context, OPTIONS, observeWal),
    observeTablespaces: (address, context) => withSession(address, context, OPTIONS, observeTablespaces),
    observeSummaries: (address, since, context) => withSession(address, context, OPTIONS, (session) => observeSummaries(session, since)),
    readTimelineHistory: (address, timeline, context) =>
      withSession(address, context, { ...OPTIONS, replication: true }, (session) => readTimelineHistory(session, timeline)),
    observeStreaming: (address, slot, context) => withSession(address, context, OPTIONS, (session) => observeStreaming(session, slot)),
    observeSeedSource: (address, context) => withSession(address, context, OPTIONS, observeSeedSource),
    observeReplication: (address, context) => withSession(address, context, OPTIONS, observeReplication),
  };
}

async function observeServer(session: Session): Promise<ServerObservation> {
  const versionNumber = Number(textOf(onlyRow(await session.query(VERSION_NUMBER)), 'version_number'));
  requireSupported(versionNumber);
  const control = onlyRow(await session.query(SYSTEM_IDENTIFIER));
  const settings = settingsOf(await session.query(SETTINGS));
  const pendingRestart = (await session.query(PENDING_RESTART)).map((row) => textOf(row, 'name'));
  const archiver = archiverOf(onlyRow(await session.query(ARCHIVER)));
  const replication = (await session.query(REPLICATION)).map(replicationOf);
  const position = await readPosition(session);
  return {
    systemIdentifier: parseSystemIdentifier(textOf(control, 'system_identifier')),
    mayReplicate: booleanOf(control, 'may_replicate'),
    postgresMajor: Math.floor(versionNumber / 10_000),
    versionNumber,
    inRecovery: booleanOf(position, 'in_recovery'),
    timeline: await timelineOfServer(session, position),
    ...optionalLsn('lsn', position, 'lsn'),
    ...(settings.data_directory === undefined ? {} : { dataDirectory: settings.data_directory }),
    walSegmentSizeBytes: Number(settings.wal_segment_size),
    serverTime: instantOfMicros(BigInt(textOf(position, 'server_time'))),
    archiver,
    replication,
    settings,
    pendingRestart,
  };
}

async function observeRecovery(session: Session): Promise<RecoveryState> {
  const position = await readPosition(session);
  return {
    inRecovery: booleanOf(position, 'in_recovery'),
    paused: position.pause_state === 'paused',
    ...optionalLsn('replayLsn', position, 'replay_lsn'),
    ...optionalInstant('lastReplayedCommitTime', position, 'last_replayed_commit_time'),
    timeline: timelineIdOf(Number(textOf(position, 'timeline'))),
  };
}

async function observeWal(session: Session): Promise<WalObservation> {
  const may = onlyRow(await session.query(MAY_LIST_WAL));
  const queue = booleanOf(may, 'archive_status') ? { queue: queueOf(await session.query(ARCHIVE_QUEUE)) } : {};
  const size = booleanOf(may, 'wal') ? { walBytes: BigInt(textOf(onlyRow(await session.query(WAL_SIZE)), 'bytes')) } : {};
  return { ...queue, ...size, slots: (await session.query(SLOTS)).map(slotOf) };
}

async function observeTablespaces(session: Session): Promise<readonly BackupTablespace[]> {
  const rows = await session.query(TABLESPACES);
  return rows.map((row) => ({ oid: Number(textOf(row, 'oid')), name: textOf(row, 'name'), location: textOf(row, 'location') }));
}

async function observeSummaries(session: Session, since: Lsn): Promise<SummaryObservation> {
  const [summarizer] = await session.query(SUMMARIZER);
  // Listed after the summarizer was asked: what it had reached by then is on disk by now.
  const summaries = (await session.query(summariesAfter(formatLsn(since)))).map(summaryOf);
  const size = onlyRow(await session.query(CLUSTER_SIZE));
  return {
    summaries,
    ...(summarizer === undefined
      ? {}
      : {
          summarizer: { timeline: timelineOf(summarizer, 'summarized_tli'), summarizedLsn: parseLsn(textOf(summarizer, 'summarized_lsn')) },
        }),
    ...(typeof size['bytes'] === 'string' ? { databaseBytes: BigInt(size['bytes']) } : {}),
  };
}

async function observeSeedSource(session: Session): Promise<SeedSourceObservation> {
  const size = onlyRow(await session.query(CLUSTER_SIZE));
  const mayList = booleanOf(onlyRow(await session.query(MAY_LIST_WAL)), 'wal');
  const [oldest] = mayList ? await session.query(OLDEST_WAL) : [];
  return {
    ...(typeof size['bytes'] === 'string' ? { databaseBytes: BigInt(size['bytes']) } : {}),
    ...(oldest === undefined ? {} : { oldestWal: textOf(oldest, 'name') }),
    ...(mayList ? { walBytes: BigInt(textOf(onlyRow(await session.query(WAL_SIZE)), 'bytes')) } : {}),
    freeSenders: Number(textOf(onlyRow(await session.query(FREE_SENDERS)), 'free')),
  };
}

async function readTimelineHistory(session: Session, timeline: TimelineId): Promise<TimelineHistory> {
  const file = onlyRow(await session.query(timelineHistory(timeline)));
  return parseTimelineHistory(textOf(file, 'content'), timeline);
}

async function observeStreaming(session: Session, slot: string): Promise<StreamingObservation> {
  const row = onlyRow(await session.query(streamingOf(quoteLiteral(slot))));
  return {
    inRecovery: booleanOf(row, 'in_recovery'),
    postgresMajor: Math.floor(Number(textOf(row, 'version_number')) / 10_000),
    walSegmentSizeBytes: Number(textOf(row, 'wal_segment_size')),
    ...optionalLsn('flushLsn', row, 'flush_lsn'),
    ...(typeof row.slot_name === 'string' ? { slot: slotOf(row) } : {}),
    ...optionalLsn('writeLsn', row, 'write_lsn'),
    ...optionalText('lastArchivedWal', row, 'last_archived_wal'),
  };
}

function readPosition(session: Session): Promise<TextRow> {
  return onceMoreAtPromotion(async () => onlyRow(await session.query(POSITION)));
}

/** A standby that has just changed to another timeline, and receives nothing at the moment, knows only by its files. */
async function timelineOfServer(session: Session, position: TextRow): Promise<TimelineId> {
  const known = timelineOf(position, 'timeline');
  if (!booleanOf(position, 'in_recovery') || !booleanOf(onlyRow(await session.query(MAY_LIST_WAL)), 'wal')) return known;
  const { timeline } = onlyRow(await session.query(TIMELINE_OF_REPLAY));
  return timeline === null || timeline === undefined || Number(timeline) < known ? known : timelineIdOf(Number(timeline));
}

function requireSupported(versionNumber: number): void {
  if (versionNumber >= 140_000) return;
  const version = `${Math.floor(versionNumber / 10_000)}.${versionNumber % 10_000}`;
  throw new SpokeError('REFUSED_POSTGRES_VERSION', `The server runs PostgreSQL ${version}; the oldest supported major version is 14.`, {
    hint: 'Upgrade that server to PostgreSQL 14 or later.',
    details: { versionNumber },
  });
}

function settingsOf(rows: readonly TextRow[]): Readonly<Record<string, string>> {
  return Object.fromEntries(rows.map((row) => [textOf(row, 'name'), row.setting ?? '']));
}

function archiverOf(row: TextRow): ArchiverStatistics {
  return {
    archivedCount: BigInt(textOf(row, 'archived_count')),
    failedCount: BigInt(textOf(row, 'failed_count')),
    ...optionalText('lastArchivedWal', row, 'last_archived_wal'),
    ...optionalInstant('lastArchivedTime', row, 'last_archived_time'),
    ...optionalText('lastFailedWal', row, 'last_failed_wal'),
    ...optionalInstant('lastFailedTime', row, 'last_failed_time'),
  };
}

function replicationOf(row: TextRow): ReplicationConnection {
  return {
    applicationName: row.application_name ?? '',
    state: row.state ?? 'unknown',
    ...optionalLsn('sentLsn', row, 'sent_lsn'),
    ...optionalLsn('replayLsn', row, 'replay_lsn'),
    syncState: row.sync_state ?? 'unknown',
  };
}

function queueOf(rows: readonly TextRow[]): ArchiveQueue {
  const waiting = rows.map((row) => ({ file: textOf(row, 'file'), since: instantOfMicros(BigInt(textOf(row, 'since'))) }));
  return { count: Number(rows[0]?.all_files ?? 0), waiting };
}

function summaryOf(row: TextRow): WalSummary {
  return { timeline: timelineOf(row, 'tli'), startLsn: parseLsn(textOf(row, 'start_lsn')), endLsn: parseLsn(textOf(row, 'end_lsn')) };
}

function timelineOf(row: TextRow, column: string): TimelineId {
  return timelineIdOf(Number(textOf(row, column)));
}

function slotOf(row: TextRow): SlotFacts {
  const retained = row.retained_bytes;
  return {
    name: textOf(row, 'slot_name'),
    active: booleanOf(row, 'active'),
    ...optionalText('walStatus', row, 'wal_status'),
    ...(retained === null || retained === undefined ? {} : { retainedBytes: BigInt(retained) }),
  };
}
