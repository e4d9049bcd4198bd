import { type Lsn, parseLsn } from '../postgres/lsn.ts';
import { type TimelineId, timelineIdOf } from '../postgres/timeline.ts';
import { isWalSegmentName, type WalSegmentName } from '../postgres/wal-segment.ts';
import { type Instant, parsePostgresTimestamp } from '../time/instant.ts';

/** Where replay stopped, and at what, in PostgreSQL's words. */
interface RecoveryStop {
  /** Whether the record that it stopped at was replayed (`after`) or not. */
  readonly side: 'before' | 'after';
  readonly what: 'commit' | 'abort' | 'lsn' | 'name' | 'immediate';
  /** The message as logged. */
  readonly line: string;
  /** Low 32 bits, as WAL has them. */
  readonly xid?: bigint;
  /** Of the commit, abort or restore point. */
  readonly time?: Instant;
  readonly lsn?: Lsn;
  readonly name?: string;
}

/** What the log of a server says of its recovery. */
export interface RecoveryLog {
  readonly stopped?: RecoveryStop;
  readonly lastCompletedTransactionTime?: Instant;
  /** The beginning of the last record that was replayed. */
  readonly redoDoneLsn?: Lsn;
  /** The timeline that the server began when recovery ended. */
  readonly newTimeline?: TimelineId;
  /** The timeline of the last segment that was fetched. Around a fork that may be one later than the last record's. */
  readonly recoveredTimeline?: TimelineId;
  /** Distinct segments that restore_command delivered. */
  readonly restoredSegments: number;
  readonly lastRestoredSegment?: WalSegmentName;
  /** True where WAL ended before the target was met. */
  readonly endedBeforeTarget: boolean;
  /** True where the target came before the backup was consistent. */
  readonly beforeConsistency: boolean;
  /** The last complaint of restore_command that was more than "there is no such file". */
  readonly fetchError?: string;
  /** Why the server died: the last FATAL or PANIC that was not merely a client turned away. */
  readonly fatal?: string;
}

const STOP_AT_TRANSACTION = /^recovery stopping (before|after) (commit|abort) of transaction (\d+), time (.+)$/;
const STOP_AT_LSN = /^recovery stopping (before|after) WAL location \(LSN\) "([0-9A-F]+\/[0-9A-F]+)"$/;
const STOP_AT_NAME = /^recovery stopping at restore point "(.*)", time (.+)$/;
const STOP_AT_CONSISTENCY = /^recovery stopping after reaching consistency$/;
const TURNED_AWAY =
  /^(?:the database system is |role ".*" does not exist|database ".*" does not exist|no pg_hba\.conf entry|.* authentication failed|sorry, too many clients|remaining connection slots|terminating |canceling |connection to client lost)/;
/** What an engine's restore_command says when it fails: pgBackRest with a number, spoke-wal-get with a word. */
const FETCH_ERROR = /(?:^|\s)(ERROR: \[(?:\d{3}|[a-z-]+)\]: .*)$/;
/** Says only that no repository could be used; why, it says in a warning before. */
const NO_REPOSITORY = /^ERROR: \[103\]/;
/** The warning, or the line below it that names the cause of what the warning tells. */
const REPOSITORY_WARNING = /^(?:.*WARN: repo\d+: \[\w+\]|\s+\w+Error:) (.*?):?$/;
/** The line below an error that says more: for each repository what became of the file. */
const CAUSE_BELOW = /^\s+(?=\S)(?!HINT)(?:repo\d+: \S+ )?(.*)$/;

/**
 * Reads the log of PostgreSQL 13 to 18 in the C locale from the last start on: xlogrecovery.c (to 14: xlog.c) and
 * xlogarchive.c word these messages. Times in messages are printed in the server's `timezone`, with a numeric offset.
 */
export function readRecoveryLog(text: string): RecoveryLog {
  const lines = sinceLastStart(text.split('\n'));
  const logged = lines.flatMap((line) => /\bLOG: {2}(.*)$/.exec(line)?.[1] ?? []);
  const fatals = lines.flatMap((line) => /\b(?:FATAL|PANIC): {2}(.*)$/.exec(line)?.[1] ?? []).filter((line) => !TURNED_AWAY.test(line));
  const segments = logged.flatMap((line) => /^restored log file "(.+)" from archive$/.exec(line)?.[1] ?? []).filter(isWalSegmentName);
  const lastSegment = segments.at(-1);
  const newTimeline = lastOf(logged, /^selected new timeline ID: (\d+)$/);
  const completed = timeOf(lastOf(logged, /^last completed transaction was at log time (.+)$/));
  const redoDone = lastOf(logged, /^redo done at ([0-9A-F]+\/[0-9A-F]+)/);
  const fetchError = fetchErrorOf(lines, fatals);
  const fatal = fatals.at(-1);
  const stopped = logged.flatMap((line) => stopOf(line) ?? []).at(-1);
  return {
    restoredSegments: new Set(segments).size,
    endedBeforeTarget: fatals.includes('recovery ended before configured recovery target was reached'),
    beforeConsistency: fatals.includes('requested recovery stop point is before consistent recovery point'),
    ...(stopped === undefined ? {} : { stopped }),
    ...(completed === undefined ? {} : { lastCompletedTransactionTime: completed }),
    ...(redoDone === undefined ? {} : { redoDoneLsn: parseLsn(redoDone) }),
    ...(newTimeline === undefined ? {} : { newTimeline: timelineIdOf(Number(newTimeline)) }),
    ...(lastSegment === undefined
      ? {}
      : { lastRestoredSegment: lastSegment, recoveredTimeline: timelineIdOf(Number.parseInt(lastSegment.slice(0, 8), 16)) }),
    ...(fetchError === undefined ? {} : { fetchError }),
    ...(fatal === undefined ? {} : { fatal }),
  };
}

function sinceLastStart(lines: readonly string[]): readonly string[] {
  const start = lines.findLastIndex((line) => /\bLOG: {2}starting PostgreSQL \d/.test(line));
  return start < 0 ? lines : lines.slice(start);
}

function stopOf(line: string): RecoveryStop | undefined {
  const transaction = STOP_AT_TRANSACTION.exec(line);
  if (transaction !== null) {
    const [, side, what, xid = '0', when] = transaction;
    return { side: sideOf(side), what: what === 'abort' ? 'abort' : 'commit', line, xid: BigInt(xid), ...withTime(when) };
  }
  const position = STOP_AT_LSN.exec(line);
  if (position?.[2] !== undefined) return { side: sideOf(position[1]), what: 'lsn', line, lsn: parseLsn(position[2]) };
  const point = STOP_AT_NAME.exec(line);
  if (point?.[1] !== undefined) return { side: 'after', what: 'name', line, name: point[1], ...withTime(point[2]) };
  return STOP_AT_CONSISTENCY.test(line) ? { side: 'after', what: 'immediate', line } : undefined;
}

function sideOf(word: string | undefined): 'before' | 'after' {
  return word === 'before' ? 'before' : 'after';
}

function withTime(text: string | undefined): { time: Instant } | Record<string, never> {
  const time = timeOf(text);
  return time === undefined ? {} : { time };
}

function timeOf(text: string | undefined): Instant | undefined {
  if (text === undefined) return undefined;
  try {
    return parsePostgresTimestamp(text);
  } catch {
    return undefined;
  }
}

function lastOf(lines: readonly string[], pattern: RegExp): string | undefined {
  return lines.flatMap((line) => pattern.exec(line)?.[1] ?? []).at(-1);
}

/** The engine's own words where it has any; else PostgreSQL's that the command was killed or could not be run. */
function fetchErrorOf(lines: readonly string[], fatals: readonly string[]): string | undefined {
  const at = lines.findLastIndex((line) => FETCH_ERROR.test(line));
  const error = FETCH_ERROR.exec(lines[at] ?? '')?.[1];
  if (error === undefined) return fatals.findLast((line) => line.startsWith('could not restore file '));
  const warning = NO_REPOSITORY.test(error) ? lastOf(lines.slice(0, at), REPOSITORY_WARNING) : undefined;
  const cause = CAUSE_BELOW.exec(lines[at + 1] ?? '')?.[1] ?? warning;
  return cause === undefined ? error : `${error.replace(/:$/, '')}: ${cause}`;
}
