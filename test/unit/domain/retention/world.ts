import type { BackupLabel, BackupType, BaseBackup } from '../../../../src/domain/catalog/base-backup.ts';
import type { ArchivedSegment } from '../../../../src/domain/catalog/wal-archive.ts';
import type { OwnExpiry, RetentionFacts, RetentionPlan, RetentionPolicy } from '../../../../src/domain/retention/policy.ts';
import { planRetention } from '../../../../src/domain/retention/plan-retention.ts';
import { addMicros, type Instant } from '../../../../src/domain/time/instant.ts';
import { at, backup, label, LOCAL, SEGMENT_SIZE_BYTES, snapshot, tli } from '../recovery/world.ts';

export const DAY = 86_400_000_000n;
export const NOW = addMicros(at(0), 1000n * DAY);
export const WEEK: RetentionPolicy = { days: 7, requireVerified: false, maxSharePercent: 50 };

/** A backup of a story: how old its end is, in days, and its type. */
export interface Aged {
  readonly days: number;
  readonly type: BackupType;
  readonly hasPageErrors?: boolean;
}

export const full = (days: number): Aged => ({ days, type: 'full' });
export const incr = (days: number): Aged => ({ days, type: 'incr' });

export function ago(days: number): Instant {
  return addMicros(NOW, -BigInt(Math.round(days * 86_400_000_000)));
}

/** Oldest first; an incremental continues the backup before it. Backup n lies in segments 10 n and 10 n + 1. Labels: F1, F1-1, F1-2, F2 … */
export function backupsOf(story: readonly Aged[]): readonly BaseBackup[] {
  const made: BaseBackup[] = [];
  let chain: BackupLabel[] = [];
  let fulls = 0;
  for (const [index, { days, type, hasPageErrors }] of story.entries()) {
    const isFull = type === 'full' || chain.length === 0;
    if (isFull) fulls += 1;
    const name = isFull ? `F${String(fulls).padStart(4, '0')}` : `${chain[0]}-${String(chain.length).padStart(3, '0')}`;
    const options = isFull ? {} : { type, references: [...chain] };
    const base = backup(name, (index + 1) * 10, { ...options, hasPageErrors: hasPageErrors ?? false });
    made.push({ ...base, startTime: addMicros(ago(days), -60_000_000n), stopTime: ago(days) });
    chain = isFull ? [label(name)] : [...chain, label(name)];
  }
  return made;
}

/** Every segment from 1 to after the last backup. */
export function walOf(backups: readonly BaseBackup[]): ArchivedSegment[] {
  const last = (backups.length + 1) * 10 + 5;
  return Array.from({ length: last }, (_, index) => ({ timeline: tli(1), segmentNumber: BigInt(index + 1) }));
}

/** As pgBackRest reckons it, written down once more and apart from the policy: fulls by days, and WAL behind them. */
export function ownExpiryOf(backups: readonly BaseBackup[], days: number, now: Instant = NOW): OwnExpiry {
  const start = (now / 1_000_000n) * 1_000_000n - BigInt(days) * DAY;
  const sorted = [...backups].sort((a, b) => (a.label < b.label ? -1 : 1));
  const fulls = sorted.filter(({ type }) => type === 'full').reverse();
  const kept = fulls.find(({ stopTime }) => stopTime < start) ?? fulls.at(-1);
  if (kept === undefined) return { backups: [], walFloors: [] };
  const going = sorted.filter((one) => one.label < kept.label).map((one) => one.label);
  return { backups: going, walFloors: [kept.label] };
}

export function factsOf(backups: readonly BaseBackup[], more: Partial<RetentionFacts> = {}, days = WEEK.days): RetentionFacts {
  return {
    snapshot: snapshot({ backups, wal: walOf(backups) }),
    ...{ now: NOW, pins: [], verdicts: [], clocks: [], confirmed: false },
    own: ownExpiryOf(backups, days, more.now ?? NOW),
    ...more,
  };
}

export function planOf(story: readonly Aged[], policy: Partial<RetentionPolicy> = {}, more: Partial<RetentionFacts> = {}): RetentionPlan {
  const backups = backupsOf(story);
  return planRetention({ ...WEEK, ...policy }, factsOf(backups, more, policy.days ?? WEEK.days));
}

export const going = ({ backups }: RetentionPlan) =>
  backups.filter(({ decision }) => decision === 'expire').map(({ backup }) => String(backup.label));
export const kept = ({ backups }: RetentionPlan) =>
  backups.filter(({ decision }) => decision === 'keep').map(({ backup }) => String(backup.label));

export { label, LOCAL, SEGMENT_SIZE_BYTES, snapshot, tli };
