/** Why a standby's receiver ends, as far as its log tells. */
export type TroubleKind = 'network' | 'hba' | 'password' | 'role' | 'slot' | 'wal-removed' | 'diverged' | 'other-cluster' | 'no-sender';

export interface ReplicationTrouble {
  readonly kind: TroubleKind;
  /** The line of the log. */
  readonly line: string;
}

/**
 * The words of PostgreSQL 14 to 18 (walreceiver.c, libpqwalreceiver.c, auth.c, slot.c, walsender.c, xlogrecovery.c), untranslated.
 * The first that fits counts: what the other server said stands in the same line as the failure to connect.
 */
const WORDS: readonly (readonly [TroubleKind, RegExp])[] = [
  ['hba', /no pg_hba\.conf entry for replication|pg_hba\.conf rejects replication/],
  [
    'password',
    /(?:password|SCRAM|Peer|Ident|LDAP|PAM|certificate) authentication failed for user|no password supplied|could not open password file/,
  ],
  [
    'role',
    /role ".*" (?:does not exist|is not permitted to log in)|must be superuser or (?:a )?replication role|permission denied to start WAL sender/,
  ],
  ['no-sender', /number of requested standby connections exceeds|too many clients already|remaining connection slots are reserved/],
  [
    'slot',
    /replication slot ".*" (?:does not exist|is active for PID)|(?:cannot read from|can no longer (?:access|get changes from)) replication slot/,
  ],
  ['wal-removed', /requested WAL segment \w+ has already been removed|requested starting point \S+ is ahead of/],
  ['other-cluster', /database system identifier differs/],
  ['diverged', /forked off current database system timeline|is behind recovery timeline|is not in this server's history/],
  [
    'network',
    /could not (?:translate host name|connect to the primary server|receive data from WAL stream)|Connection refused|timeout expired|No route to host|terminating walreceiver due to timeout/,
  ],
];

/** The last trouble that the log of a standby tells of its receiver; undefined where it tells none, or has streamed since. */
export function lastReplicationTrouble(log: string): ReplicationTrouble | undefined {
  const lines = log.split('\n');
  for (const line of lines.toReversed()) {
    if (line.includes('started streaming WAL from primary')) return undefined;
    const found = /(?:FATAL|ERROR|LOG|PANIC|DETAIL):/.test(line) ? WORDS.find(([, words]) => words.test(line)) : undefined;
    if (found !== undefined) return { kind: found[0], line: line.trim() };
  }
  return undefined;
}
