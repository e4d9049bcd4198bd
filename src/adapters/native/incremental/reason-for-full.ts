/**
 * What PostgreSQL answered, behind what pg_basebackup was about to do: "could not upload manifest" or "could not initiate base backup".
 * Without that "ERROR:" it is no refusal, but for example a connection that broke.
 */
const REFUSAL = /^pg_basebackup: error: could not (?:upload manifest|initiate base backup): ERROR: {2}(.+)$/m;
/**
 * All that PostgreSQL 17 and 18 say against one incremental backup (basebackup_incremental.c, walsummarizer.c, basebackup.c, parse_manifest.c)
 * speaks of WAL summaries, of the manifest or of incremental backups. What else it may say, it will say of a full backup too.
 */
const OF_INCREMENTALS = /WAL summar|pg_wal\/summaries|manifest|incremental backup/i;
/** pg_basebackup's own, before it asks. */
const UNSUPPORTED = /^pg_basebackup: error: (server does not support incremental backup.*)$/m;

/** Why pg_basebackup failed, where that means that only a full backup can be taken (its last words on stderr). */
export function reasonForFull(stderr: string): string | undefined {
  const [, refusal] = REFUSAL.exec(stderr) ?? [];
  const [, unsupported] = UNSUPPORTED.exec(stderr) ?? [];
  const said = refusal !== undefined && OF_INCREMENTALS.test(refusal) ? refusal : unsupported;
  return said === undefined ? undefined : `PostgreSQL refused: ${said}`;
}
