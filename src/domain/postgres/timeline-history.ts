import { formatLsn, type Lsn, lsnOf, parseLsn } from './lsn.ts';
import { formatTimelineHex, type TimelineId, timelineIdOf } from './timeline.ts';

/** One line of a timeline history file: `timeline` ended at `switchLsn`, where its child begins. */
export interface TimelineFork {
  readonly timeline: TimelineId;
  readonly switchLsn: Lsn;
  readonly reason: string;
}

/** The ancestry of `timeline`, oldest first, as in its `.history` file. Timeline 1 has no file and no ancestors. */
export interface TimelineHistory {
  readonly timeline: TimelineId;
  readonly ancestors: readonly TimelineFork[];
}

/** A stretch of WAL along a history: the bytes from `beginLsn` up to, not including, `endLsn` are of `timeline`. */
export interface TimelineSpan {
  readonly timeline: TimelineId;
  readonly beginLsn: Lsn;
  /** Absent for the newest timeline: it has no end. */
  readonly endLsn?: Lsn;
}

const HISTORY_LINE = /^\s*(\d+)\s+([0-9A-F]{1,8}\/[0-9A-F]{1,8})(?:\s+(.*))?$/i;

/** The file name of a timeline's history, for example `00000002.history`. */
export function timelineHistoryFileName(timeline: TimelineId): string {
  return `${formatTimelineHex(timeline)}.history`;
}

/**
 * Reads the text of `timeline`'s history file by the rules of PostgreSQL's readTimeLineHistory: comments and empty lines
 * are skipped, ids increase and stay below the child's. Switch positions need not increase: after a recovery along
 * timeline 2 to a point before 2 itself began, PostgreSQL writes 2 as the parent all the same.
 * Throws RangeError where PostgreSQL would refuse the file.
 */
export function parseTimelineHistory(text: string, timeline: TimelineId): TimelineHistory {
  const file = timelineHistoryFileName(timeline);
  const ancestors: TimelineFork[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    const [, id, switchLsn, reason] = HISTORY_LINE.exec(line) ?? [];
    if (id === undefined || switchLsn === undefined) throw new RangeError(`syntax error in ${file}: "${line.trim()}"`);
    const fork = { timeline: timelineIdOf(Number(id)), switchLsn: parseLsn(switchLsn), reason: (reason ?? '').trim() };
    if (fork.timeline <= (ancestors.at(-1)?.timeline ?? 0)) throw new RangeError(`timeline ids do not increase in ${file}`);
    if (fork.timeline >= timeline) throw new RangeError(`${file} names timeline ${fork.timeline} as an ancestor`);
    ancestors.push(fork);
  }
  return { timeline, ancestors };
}

/** The text of a history file, one line an ancestor, as PostgreSQL writes it. */
export function formatTimelineHistory(history: TimelineHistory): string {
  return history.ancestors.map((fork) => `${fork.timeline}\t${formatLsn(fork.switchLsn)}\t${fork.reason}\n`).join('\n');
}

/**
 * The history of a timeline, out of those found. Timeline 1 needs no file. Undefined for any other whose file is missing:
 * PostgreSQL would take it for a timeline without parents, which no timeline above 1 is.
 */
export function historyOf(timeline: TimelineId, histories: readonly TimelineHistory[]): TimelineHistory | undefined {
  if (timeline === 1) return rootHistory(timeline);
  return histories.find((history) => history.timeline === timeline);
}

/** The history of a timeline as if it had no parents. */
export function rootHistory(timeline: TimelineId): TimelineHistory {
  return { timeline, ancestors: [] };
}

/**
 * The WAL along a history as consecutive stretches, oldest first, from position 0 on. An ancestor of which nothing
 * is left (a later fork lies before its beginning) does not appear.
 */
export function timelineSpans(history: TimelineHistory): readonly TimelineSpan[] {
  const spans: TimelineSpan[] = [];
  let endLsn: Lsn | undefined;
  for (let index = history.ancestors.length; index >= 0; index--) {
    const timeline = history.ancestors[index]?.timeline ?? history.timeline;
    const beginLsn = history.ancestors[index - 1]?.switchLsn ?? lsnOf(0n);
    const ownEnd = history.ancestors[index]?.switchLsn;
    if (ownEnd !== undefined && (endLsn === undefined || ownEnd < endLsn)) endLsn = ownEnd;
    if (endLsn === undefined) spans.push({ timeline, beginLsn });
    else if (beginLsn < endLsn) spans.push({ timeline, beginLsn, endLsn });
  }
  return spans.reverse();
}

/**
 * The timeline whose WAL holds the byte at `lsn` along this history (PostgreSQL: tliOfPointInHistory, which
 * asks the newest timeline first).
 */
export function timelineAt(history: TimelineHistory, lsn: Lsn): TimelineId {
  const span = timelineSpans(history).findLast((candidate) => candidate.beginLsn <= lsn);
  return span?.timeline ?? history.timeline;
}

/**
 * True where a state that `timeline` had reached at `lsn` is on the way of this history: what ended at `lsn` (a backup)
 * ended no later than the fork. PostgreSQL refuses anything else: "requested timeline is not a child of this server's
 * history" for the checkpoint, and "does not contain minimum recovery point" for lsn - 1 (xlogrecovery.c).
 */
export function isAncestorAt(history: TimelineHistory, timeline: TimelineId, lsn: Lsn): boolean {
  return timelineAt(history, lsn === 0n ? lsn : lsnOf(lsn - 1n)) === timeline;
}
