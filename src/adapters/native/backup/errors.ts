import { type ErrorCode, SpokeError } from '../../../errors.ts';

interface Rule {
  readonly says: RegExp;
  readonly code: ErrorCode;
  readonly hint?: string;
}

/** What pg_basebackup and the server's WAL sender say, in the words of the C locale. The first that fits counts. */
const RULES: readonly Rule[] = [
  { says: /No space left on device|Disk quota exceeded/, code: 'DISK_FULL' },
  {
    says: /no pg_hba\.conf entry for replication|must be superuser or replication role|permission denied to start WAL sender|does not have the REPLICATION/i,
    code: 'REFUSED_PRECONDITION',
    hint: 'The role needs the right to stream: ALTER ROLE … REPLICATION, and a line for the database "replication" in pg_hba.conf; then reload.',
  },
  {
    says: /max_wal_senders|remaining connection slots|too many clients/,
    code: 'POSTGRES_UNAVAILABLE',
    hint: 'Raise max_wal_senders, or wait until another backup or standby has ended.',
  },
  {
    says: /full_page_writes=off was replayed/,
    code: 'REFUSED_PRECONDITION',
    hint: 'Set full_page_writes = on at the primary, or take the backup from it.',
  },
  {
    says: /standby was promoted during online backup/,
    code: 'TOOL_FAILED',
    hint: 'Nothing was kept. Repeat the backup: spoke-backup backup',
  },
  { says: /incompatible server version/, code: 'TOOL_UNSUPPORTED', hint: 'Install the programs of the major version of the server.' },
  {
    says: /connection to server|could not connect|server closed the connection|terminating connection|SSL connection has been closed|starting up|shutting down|Connection (?:refused|reset)|could not (?:receive|send) data|timeout expired|authentication failed|could not translate host name/,
    code: 'POSTGRES_UNAVAILABLE',
  },
];

/** Why pg_basebackup failed. `stderr`: its last lines, which never hold a secret. */
export function baseBackupFailure(exitCode: number, stderr: string): SpokeError {
  const lines = stderr.split('\n').filter((line) => /error:|FATAL|ERROR|detail:|DETAIL|PANIC/.test(line));
  const message = (lines.length > 0 ? lines : stderr.split('\n').filter((line) => line !== '')).slice(-3).join('; ');
  const rule = RULES.find(({ says }) => says.test(stderr));
  return new SpokeError(rule?.code ?? 'TOOL_FAILED', `pg_basebackup failed: ${message || `exit code ${exitCode}`}`, {
    details: { exitCode, outputTail: stderr.trimEnd().split('\n').slice(-12).join('\n') },
    ...(rule?.hint === undefined ? {} : { hint: rule.hint }),
  });
}

/** Page checksum failures are told at the very end, when everything has been copied (basebackup.c: perform_base_backup). */
export function tellsPageErrors(stderr: string): boolean {
  return /checksum error occurred|checksum verification failure during base backup/.test(stderr);
}
