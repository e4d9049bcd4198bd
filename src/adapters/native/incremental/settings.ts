import { FIRST_INCREMENTAL_MAJOR } from '../../../domain/native/chain.ts';

/**
 * What an incremental backup needs of the server: summaries of the WAL since the backup that it is relative to. They are kept for ten days,
 * PostgreSQL's own default: backups that are further apart become full ones.
 */
export function summarySettings(postgresMajor: number): Readonly<Record<string, string>> {
  return postgresMajor < FIRST_INCREMENTAL_MAJOR ? {} : { summarize_wal: 'on', wal_summary_keep_time: '10d' };
}
