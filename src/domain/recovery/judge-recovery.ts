import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import { formatInstantUtc, type Instant } from '../time/instant.ts';
import { describeTarget } from './describe-target.ts';
import type { RecoveryLog } from './server-log.ts';
import type { RecoveryTarget } from './target.ts';

/** What is known of a server that replayed: what it answered, where it could answer, and what it logged. */
export interface RecoveryEvidence {
  readonly state?: { readonly inRecovery: boolean; readonly replayLsn?: Lsn; readonly lastReplayedCommitTime?: Instant };
  readonly log: RecoveryLog;
  /** The archive was seen to hold WAL at least so far. */
  readonly leastLsn?: Lsn | undefined;
}

export type RecoveryVerdict =
  | { readonly kind: 'reached'; readonly evidence: string }
  | {
      readonly kind: 'failed';
      readonly code:
        | 'TARGET_AFTER_WINDOW'
        | 'TARGET_BEFORE_WINDOW'
        | 'TARGET_NOT_FOUND'
        | 'BACKUP_DAMAGED'
        | 'REPOSITORY_UNAVAILABLE'
        | 'POSTGRES_FAILED'
        | 'VERIFICATION_FAILED';
      readonly message: string;
    };

/**
 * Says from PostgreSQL's own words whether the target was reached. PostgreSQL takes every failure of restore_command
 * for the end of the archive, so an end that comes earlier than what the archive was seen to hold is no success.
 */
export function judgeRecovery(target: RecoveryTarget, evidence: RecoveryEvidence): RecoveryVerdict {
  if (evidence.state === undefined) return judgeDeath(target, evidence.log);
  return target.kind === 'latest' ? judgeLatest(evidence) : judgeStop(target, evidence);
}

/** Where the WAL of the backup itself is not there: its first segment, or one before its end (StartupXLOG, InitWalRecovery). */
const LACKS_OWN_WAL =
  /^(?:WAL ends before (?:end of online backup|consistent recovery point)|could not (?:locate required checkpoint record|find redo location referenced by checkpoint record))/;

/** RestoreArchivedFile: the command failed in a way that cannot be the end of the archive. */
const DIED_OF_FETCHING = /^could not restore file /;
/** RestoreArchivedFile too: pgBackRest does not compare the checksum in a segment's name, and what was damaged may be decompressed to something else. */
const WRONG_SIZE = /^archive file "[^"]*" has wrong size: /;
/**
 * What spoke-wal-get says, and pgBackRest's errors of a checksum, a format or an encryption that is not as it should be, among them what cannot
 * be decompressed.
 */
const DAMAGED_WAL = /^ERROR: \[(?:damaged|026|029|095)\]|\[(?:Checksum|Format|Crypto)Error\]/;

function judgeDeath(target: RecoveryTarget, log: RecoveryLog): RecoveryVerdict {
  if (log.beforeConsistency)
    return {
      kind: 'failed',
      code: 'TARGET_BEFORE_WINDOW',
      message: `${describeTarget(target)} lies before the end of the backup: the copy is not consistent there`,
    };
  const fatal = log.fatal ?? '';
  if (WRONG_SIZE.test(fatal)) return { kind: 'failed', code: 'BACKUP_DAMAGED', message: `WAL in the repository is damaged: ${fatal}` };
  const lacksOwnWal = LACKS_OWN_WAL.test(fatal);
  if (log.fetchError !== undefined && (log.endedBeforeTarget || lacksOwnWal || DIED_OF_FETCHING.test(fatal)))
    return DAMAGED_WAL.test(log.fetchError)
      ? { kind: 'failed', code: 'BACKUP_DAMAGED', message: `WAL in the repository is damaged: ${log.fetchError}` }
      : { kind: 'failed', code: 'REPOSITORY_UNAVAILABLE', message: `WAL could not be fetched from the repository: ${log.fetchError}` };
  if (lacksOwnWal)
    return { kind: 'failed', code: 'BACKUP_DAMAGED', message: `WAL from between its start and its end is missing: ${fatal}` };
  if (!log.endedBeforeTarget)
    return {
      kind: 'failed',
      code: 'POSTGRES_FAILED',
      message: `the restored server ended while it replayed: ${log.fatal ?? 'its log says nothing'}`,
    };
  const last = log.lastCompletedTransactionTime;
  const end = last === undefined ? '' : `; the last commit in it is of ${formatInstantUtc(last)}`;
  const searched = target.kind === 'xid' || target.kind === 'name';
  return {
    kind: 'failed',
    code: searched ? 'TARGET_NOT_FOUND' : 'TARGET_AFTER_WINDOW',
    message: searched
      ? `${describeTarget(target)} is not in the WAL that follows this backup${end}`
      : `the archived WAL ends before ${describeTarget(target)} is reached${end}`,
  };
}

function judgeLatest({ state, log, leastLsn }: RecoveryEvidence): RecoveryVerdict {
  if (state?.inRecovery !== false)
    return { kind: 'failed', code: 'VERIFICATION_FAILED', message: 'the server paused although it was to replay to the end' };
  const end = log.redoDoneLsn;
  if (leastLsn !== undefined && (end === undefined || end < leastLsn))
    return {
      kind: 'failed',
      code: 'REPOSITORY_UNAVAILABLE',
      message: `replay ended at ${end === undefined ? 'an unknown position' : formatLsn(end)}, but the archive was seen to reach ${formatLsn(leastLsn)}${log.fetchError === undefined ? '' : `: ${log.fetchError}`}`,
    };
  return { kind: 'reached', evidence: end === undefined ? 'archive recovery complete' : `redo done at ${formatLsn(end)}` };
}

function judgeStop(target: RecoveryTarget, { state, log }: RecoveryEvidence): RecoveryVerdict {
  const { stopped } = log;
  if (stopped === undefined)
    return {
      kind: 'failed',
      code: 'VERIFICATION_FAILED',
      message: `the server stopped replay without saying that it reached ${describeTarget(target)}`,
    };
  const last = state?.lastReplayedCommitTime;
  if (target.kind === 'time' && last !== undefined && (target.inclusive ? last > target.time : last >= target.time))
    return {
      kind: 'failed',
      code: 'VERIFICATION_FAILED',
      message: `the server replayed a commit of ${formatInstantUtc(last)}, which lies past ${describeTarget(target)}`,
    };
  return { kind: 'reached', evidence: stopped.line };
}
