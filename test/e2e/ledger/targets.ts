import { parseLsn } from '../../../src/domain/postgres/lsn.ts';
import type { LedgerEntry } from '../../../scripts/ledger.ts';

/** A target as it is typed and as --json shows it, with the rows that the ledger says must be there. */
export interface TargetCase {
  readonly name: string;
  readonly argv: readonly string[];
  readonly shown: Readonly<Record<string, unknown>>;
  readonly expected: readonly LedgerEntry[];
  /** The transaction that recovery stops right after, where it does. */
  readonly xid: string | null;
  /**
   * The row whose commit time PostgreSQL gives as the last one. It stops at the LSN of a record before it has noted the time in it
   * (recoveryStopsAfter), so a commit that is named by its LSN is there and its time is not.
   */
  readonly timed: LedgerEntry | undefined;
}

/** What one stretch of the ledger's life offers as targets. Entries are in the order of their commits. */
export interface Stretch {
  /** Everything that was ever acknowledged, also after this stretch. */
  readonly all: readonly LedgerEntry[];
  /** Of the entries of this stretch that are followed by another one. */
  readonly target: LedgerEntry;
  /** Has a lower xid than the row that was committed before it. */
  readonly overtaken: LedgerEntry;
  readonly restorePoint: { readonly name: string; readonly after: LedgerEntry };
}

const MICROS_PER_MILLISECOND = 1000n;

/** An instant with all its microseconds, in UTC: 2026-11-22T14:05:00.123456Z */
export function isoOf(micros: bigint): string {
  const milliseconds = new Date(Number(micros / MICROS_PER_MILLISECOND)).toISOString();
  return milliseconds.replace('Z', `${String(micros % MICROS_PER_MILLISECOND).padStart(3, '0')}Z`);
}

export function numbersOf(entries: readonly LedgerEntry[]): readonly number[] {
  return entries.map((entry) => entry.n).toSorted((left, right) => left - right);
}

/** The entries up to this one, in the order of their commits. */
export function upTo(all: readonly LedgerEntry[], last: LedgerEntry): readonly LedgerEntry[] {
  return all.slice(0, all.indexOf(last) + 1);
}

/**
 * A row whose commit record alone lies between its two positions: it is the shortest stretch of WAL that a commit takes.
 * Only there is `lsnBefore` surely the beginning of the commit record.
 */
export function quietest(entries: readonly LedgerEntry[]): LedgerEntry {
  const [quiet] = entries.toSorted((left, right) => Number(walBytesOf(left) - walBytesOf(right)));
  if (quiet === undefined) throw new Error('there are no entries');
  return quiet;
}

function walBytesOf({ lsnBefore, lsnAfter }: LedgerEntry): bigint {
  return parseLsn(lsnAfter) - parseLsn(lsnBefore);
}

/** Every kind of target in a stretch, each with what has to be there by the ledger alone. */
export function targetsIn(stretch: Stretch): readonly TargetCase[] {
  return [...timeTargets(stretch), ...lsnTargets(stretch), ...xidTargets(stretch), nameTarget(stretch)];
}

function timeTargets({ all, target }: Stretch): readonly TargetCase[] {
  const next = all[all.indexOf(target) + 1];
  if (next === undefined) throw new Error('nothing was committed after the target');
  const between = (target.committedMicros + next.committedMicros) / 2n;
  const timeCase = (name: string, micros: bigint, inclusive: boolean): TargetCase => {
    const expected = all.filter((entry) => (inclusive ? entry.committedMicros <= micros : entry.committedMicros < micros));
    const argv = ['--to', isoOf(micros), ...(inclusive ? [] : ['--exclusive'])];
    return { name, argv, shown: { kind: 'time', time: isoOf(micros), inclusive }, expected, xid: null, timed: expected.at(-1) };
  };
  return [
    timeCase('the very microsecond of a commit, inclusive', target.committedMicros, true),
    timeCase('the very microsecond of a commit, exclusive', target.committedMicros, false),
    timeCase('an instant between two commits', between, true),
  ];
}

function lsnTargets({ all, target }: Stretch): readonly TargetCase[] {
  const lsnCase = (name: string, lsn: string, inclusive: boolean): TargetCase => {
    const before = all.filter((entry) => parseLsn(entry.lsnBefore) < parseLsn(lsn));
    const expected = inclusive ? all.filter((entry) => parseLsn(entry.lsnBefore) <= parseLsn(lsn)) : before;
    const argv = ['--to-lsn', lsn, ...(inclusive ? [] : ['--exclusive'])];
    return { name, argv, shown: { kind: 'lsn', lsn, inclusive }, expected, xid: null, timed: before.at(-1) };
  };
  return [
    lsnCase('the LSN of a commit record, inclusive', target.lsnBefore, true),
    lsnCase('the LSN of a commit record, exclusive', target.lsnBefore, false),
    lsnCase('the LSN right after a commit, exclusive', target.lsnAfter, false),
  ];
}

function xidTargets({ all, overtaken }: Stretch): readonly TargetCase[] {
  const { xid } = overtaken;
  const until = upTo(all, overtaken);
  const before = until.slice(0, -1);
  return [
    {
      name: 'a transaction that a later one overtook, inclusive',
      argv: ['--to-xid', xid],
      shown: { kind: 'xid', xid, inclusive: true },
      expected: until,
      xid,
      timed: overtaken,
    },
    {
      name: 'a transaction that a later one overtook, exclusive',
      argv: ['--to-xid', xid, '--exclusive'],
      shown: { kind: 'xid', xid, inclusive: false },
      expected: before,
      xid: null,
      timed: before.at(-1),
    },
  ];
}

function nameTarget({ all, restorePoint }: Stretch): TargetCase {
  return {
    name: 'a restore point',
    argv: ['--to-name', restorePoint.name],
    shown: { kind: 'name', name: restorePoint.name },
    expected: upTo(all, restorePoint.after),
    xid: null,
    timed: restorePoint.after,
  };
}
