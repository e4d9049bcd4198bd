/** What a role shall be allowed. */
export interface RoleRights {
  readonly replication: boolean;
  readonly memberOf: readonly string[];
  /** Signatures. */
  readonly mayExecute: readonly string[];
}

/** Of the role that standbys connect by. pg_rewind as an ordinary role needs four functions (documentation of pg_rewind, "Notes"). */
export const REPLICATION_RIGHTS: RoleRights = {
  replication: true,
  memberOf: [],
  mayExecute: [
    'pg_ls_dir(text,boolean,boolean)',
    'pg_stat_file(text,boolean)',
    'pg_read_binary_file(text)',
    'pg_read_binary_file(text,bigint,bigint,boolean)',
  ],
};

/**
 * Of the role that backups are taken by: no superuser. Functions of backups are open to superusers alone until somebody grants them
 * (documentation, "Backup Control Functions"); pg_monitor sees settings, statistics and pg_wal. REPLICATION is for pg_basebackup and for
 * streaming WAL. Until PostgreSQL 14 the two functions are called pg_start_backup and pg_stop_backup.
 */
export const BACKUP_RIGHTS: RoleRights = {
  replication: true,
  memberOf: ['pg_monitor', 'pg_checkpoint'],
  mayExecute: [
    'pg_backup_start(text,boolean)',
    'pg_backup_stop(boolean)',
    'pg_start_backup(text,boolean,boolean)',
    'pg_stop_backup(boolean,boolean)',
    'pg_switch_wal()',
    'pg_create_restore_point(text)',
  ],
};

/** pg_checkpoint came with PostgreSQL 15. */
export function rightsFor(rights: RoleRights, postgresMajor: number): RoleRights {
  return { ...rights, memberOf: rights.memberOf.filter((role) => role !== 'pg_checkpoint' || postgresMajor >= 15) };
}
