import { quoteLiteral } from './quote.ts';

/** The SQL that this program reads with. PostgreSQL 14 to 18, no superuser needed. */

/** The settings that this program looks at. None of them can hold a secret (primary_conninfo can, and is left out). */
const OBSERVED_SETTINGS = [
  'archive_command',
  'archive_library',
  'archive_mode',
  'archive_timeout',
  'block_size',
  'cluster_name',
  'config_file',
  'data_checksums',
  'data_directory',
  'fsync',
  'full_page_writes',
  'hba_file',
  'hot_standby',
  'hot_standby_feedback',
  'ident_file',
  'listen_addresses',
  'log_directory',
  'log_filename',
  'logging_collector',
  'max_connections',
  'max_locks_per_transaction',
  'max_prepared_transactions',
  'max_replication_slots',
  'max_slot_wal_keep_size',
  'max_standby_archive_delay',
  'max_standby_streaming_delay',
  'max_wal_senders',
  'max_worker_processes',
  'port',
  'primary_slot_name',
  'recovery_min_apply_delay',
  'recovery_target_timeline',
  'server_version',
  'summarize_wal',
  'synchronous_commit',
  'synchronous_standby_names',
  'track_commit_timestamp',
  'unix_socket_directories',
  'wal_keep_size',
  'wal_level',
  'wal_log_hints',
  'wal_segment_size',
  'wal_summary_keep_time',
];

/** Microseconds since the epoch. `extract` gives numeric from PostgreSQL 14 on: no digit is lost. */
export const micros = (expression: string) => `(extract(epoch from ${expression}) * 1000000)::bigint`;

/**
 * Where the server stands. In recovery the timeline is the newest that the control file or the WAL receiver knows:
 * it can lag behind replay until the next restart point (TIMELINE_OF_REPLAY). Elsewhere it is that of the insert position.
 * Fails with SQLSTATE 55000 where recovery ends just then.
 */
export const POSITION = `
  SELECT r.in_recovery,
         CASE WHEN r.in_recovery THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END AS lsn,
         CASE WHEN r.in_recovery THEN greatest(c.timeline_id::bigint, m.min_recovery_end_timeline::bigint, w.received_tli::bigint)
              ELSE ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint END AS timeline,
         CASE WHEN r.in_recovery THEN pg_get_wal_replay_pause_state() END AS pause_state,
         pg_last_wal_replay_lsn() AS replay_lsn,
         ${micros('pg_last_xact_replay_timestamp()')} AS last_replayed_commit_time,
         ${micros('clock_timestamp()')} AS server_time
    FROM (SELECT pg_is_in_recovery() AS in_recovery OFFSET 0) AS r,
         pg_control_checkpoint() AS c,
         pg_control_recovery() AS m,
         (SELECT max(received_tli) AS received_tli FROM pg_stat_wal_receiver) AS w`;

/**
 * On a standby: the newest timeline of which pg_wal has the segment that was replayed last; null where it is gone. What was left behind on a
 * timeline that others have left is older: recovery takes the newest of its history, too.
 */
export const TIMELINE_OF_REPLAY = `
  SELECT max(('x' || left(f.name, 8))::bit(32)::bigint) AS timeline
    FROM pg_ls_waldir() AS f,
         (SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint - 1 AS last) AS r
   WHERE length(f.name) = 24
     AND substr(f.name, 9) = upper(lpad(to_hex(r.last >> 32), 8, '0')
                             || lpad(to_hex((r.last & 4294967295) / pg_size_bytes(current_setting('wal_segment_size'))), 8, '0'))`;

export const SYSTEM_IDENTIFIER = `
  SELECT system_identifier,
         (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user) AS may_replicate
    FROM pg_control_system()`;

export const VERSION_NUMBER = `SELECT current_setting('server_version_num') AS version_number`;

export const ARCHIVER = `
  SELECT archived_count, failed_count, last_archived_wal, last_failed_wal,
         ${micros('last_archived_time')} AS last_archived_time,
         ${micros('last_failed_time')} AS last_failed_time
    FROM pg_stat_archiver`;

/** Without pg_read_all_stats everything about another role's connection is null. */
export const REPLICATION = `
  SELECT application_name, state, sent_lsn, replay_lsn, sync_state
    FROM pg_stat_replication ORDER BY application_name, pid`;

/** Rows that the role may not read are simply not there. */
export const SETTINGS = `
  SELECT name, setting FROM pg_settings WHERE name IN (${OBSERVED_SETTINGS.map((name) => `'${name}'`).join(', ')})`;

export const PENDING_RESTART = 'SELECT name FROM pg_settings WHERE pending_restart ORDER BY name';

/** Both functions are for pg_monitor. Asked beforehand, since a refusal would stand in the server's log at each look. */
export const MAY_LIST_WAL = `
  SELECT has_function_privilege('pg_catalog.pg_ls_archive_statusdir()', 'EXECUTE') AS archive_status,
         has_function_privilege('pg_catalog.pg_ls_waldir()', 'EXECUTE') AS wal`;

/** A backlog can be a million files long: how many there are counts, and the first of them tell since when. */
const MOST_LISTED = 10_000;

/** In the order of the names, which is the archiver's. */
export const ARCHIVE_QUEUE = `
  SELECT left(name, -6) AS file, ${micros('modification')} AS since, count(*) OVER () AS all_files
    FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready' ORDER BY name COLLATE "C" LIMIT ${MOST_LISTED}`;

/** By the position, whatever the timeline. Recycled files have names that are still to come. */
export const OLDEST_WAL = `
  SELECT name FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$' ORDER BY substr(name, 9) COLLATE "C" LIMIT 1`;

/** A standby that streams counts, and so does a backup. */
export const FREE_SENDERS = `
  SELECT current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication) AS free`;

export const WAL_SIZE = 'SELECT coalesce(sum(size), 0) AS bytes FROM pg_ls_waldir()';

/** `slot`: a quoted literal. */
export const streamingOf = (slot: string) => `
  SELECT pg_is_in_recovery() AS in_recovery,
         current_setting('server_version_num') AS version_number,
         pg_size_bytes(current_setting('wal_segment_size')) AS wal_segment_size,
         CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END AS flush_lsn,
         (SELECT last_archived_wal FROM pg_stat_archiver) AS last_archived_wal,
         s.slot_name, s.active, s.wal_status,
         pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, s.restart_lsn)
           AS retained_bytes,
         r.write_lsn
    FROM (SELECT 1) AS one
    LEFT JOIN pg_replication_slots AS s ON s.slot_name = ${slot}
    LEFT JOIN pg_stat_replication AS r ON r.pid = s.active_pid`;

export const createSlotOf = (slot: string) => `
  SELECT pg_create_physical_replication_slot(${slot}, true)
   WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = ${slot})`;

export const dropSlotOf = (slot: string) =>
  `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = ${slot}`;

export const SLOTS = `
  SELECT slot_name, active, wal_status,
         pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn)
           AS retained_bytes
    FROM pg_replication_slots ORDER BY slot_name`;

/** Without pg_default and pg_global, which have no location of their own. */
export const TABLESPACES = `
  SELECT oid, spcname AS name, pg_tablespace_location(oid) AS location
    FROM pg_tablespace
   WHERE pg_tablespace_location(oid) <> ''
   ORDER BY oid`;

/** Of PostgreSQL 17 and later, for every role. Null where the server has no summarizer process at the moment. */
export const SUMMARIZER = `
  SELECT summarized_tli, summarized_lsn FROM pg_get_wal_summarizer_state() WHERE summarizer_pid IS NOT NULL`;

/** The files of pg_wal/summaries that end after a position, as PostgreSQL prints it. */
export function summariesAfter(lsn: string): string {
  return `SELECT tli, start_lsn, end_lsn FROM pg_available_wal_summaries() WHERE end_lsn > ${quoteLiteral(lsn)}::pg_lsn`;
}

/** Of all databases and of what they share. Null where the role may not look (pg_read_all_stats). */
export const CLUSTER_SIZE = `
  SELECT CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE')
              THEN (SELECT sum(pg_database_size(oid))::bigint FROM pg_database) + pg_tablespace_size('pg_global') END AS bytes`;

/** A command of the replication protocol: the file as it is in pg_wal. */
export function timelineHistory(timeline: number): string {
  return `TIMELINE_HISTORY ${timeline}`;
}
