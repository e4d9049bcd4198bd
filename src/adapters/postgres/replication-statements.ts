import { micros } from './statements.ts';

/** What a server tells of its replication. PostgreSQL 14 to 18, no superuser needed; what a role may not see is null. */

/** Fails with SQLSTATE 55000 where recovery ends just then. */
export const REPLICATION_POSITION = `
  SELECT r.in_recovery,
         CASE WHEN r.in_recovery THEN NULL ELSE pg_current_wal_flush_lsn() END AS flush_lsn,
         CASE WHEN r.in_recovery THEN pg_last_wal_receive_lsn() END AS received_lsn,
         CASE WHEN r.in_recovery THEN pg_last_wal_replay_lsn() END AS replayed_lsn,
         CASE WHEN r.in_recovery THEN ${micros('pg_last_xact_replay_timestamp()')} END AS replayed_commit_time,
         CASE WHEN r.in_recovery THEN pg_get_wal_replay_pause_state() END AS pause_state,
         ${micros('clock_timestamp()')} AS server_time,
         (SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup') AS replay_waits_for,
         (SELECT setting FROM pg_settings WHERE name = 'primary_conninfo') AS primary_conninfo,
         c.snapshot, c.lock, c.others
    FROM (SELECT pg_is_in_recovery() AS in_recovery OFFSET 0) AS r,
         (SELECT coalesce(sum(confl_snapshot), 0) AS snapshot, coalesce(sum(confl_lock), 0) AS lock,
                 coalesce(sum(confl_tablespace + confl_bufferpin + confl_deadlock), 0) AS others
            FROM pg_stat_database_conflicts) AS c`;

export const WAL_RECEIVER = `
  SELECT status, received_tli, flushed_lsn, latest_end_lsn, ${micros('latest_end_time')} AS latest_end_time,
         slot_name, sender_host, sender_port
    FROM pg_stat_wal_receiver WHERE pid IS NOT NULL`;

/** client_addr is null of a connection by a socket. */
export const WAL_SENDERS = `
  SELECT r.application_name, r.state, r.sync_state, host(r.client_addr) AS client_address, r.usename AS user_name, s.slot_name,
         r.sent_lsn, r.write_lsn, r.flush_lsn, r.replay_lsn, extract(epoch FROM r.replay_lag) AS replay_lag
    FROM pg_stat_replication AS r LEFT JOIN pg_replication_slots AS s ON s.active_pid = r.pid
   ORDER BY r.application_name, r.pid`;

/** Columns that came after PostgreSQL 14 are read out of the row as JSON: null where there are none such. */
export const REPLICATION_SLOTS = `
  SELECT slot_name, slot_type, active, temporary, wal_status, restart_lsn, safe_wal_size,
         to_jsonb(s) ->> 'invalidation_reason' AS invalidation_reason,
         ${micros("(to_jsonb(s) ->> 'inactive_since')::timestamptz")} AS inactive_since,
         pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn)
           AS retained_bytes
    FROM pg_replication_slots AS s ORDER BY slot_name`;

/** The transaction of a client that is open for longest. */
export const OLDEST_QUERY = `
  SELECT pid, usename AS user_name, extract(epoch FROM clock_timestamp() - xact_start) AS seconds
    FROM pg_stat_activity
   WHERE backend_type = 'client backend' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
   ORDER BY xact_start LIMIT 1`;
