import type { BackupLabel, BaseBackup } from '../catalog/base-backup.ts';
import { formatDuration } from '../time/duration.ts';
import { formatInstantUtc, type Instant, secondsBetween } from '../time/instant.ts';
import type { Hold, RetentionFacts, RetentionPolicy } from './policy.ts';
import type { Soundness } from './soundness.ts';

/** What two clocks that are kept right differ by at most. */
const MOST_CLOCK_DIFFERENCE_SECONDS = 3600;
/** For how long a repository may have seen neither a backup nor WAL before our clock is doubted. */
const MOST_SILENCE_SECONDS = 2 * 86_400;

/** What holds are decided by, beside the facts. */
export interface HoldSubject {
  readonly start: Instant;
  /** From the base on; all where there is no base. */
  readonly kept: readonly BaseBackup[];
  readonly soundness: ReadonlyMap<BackupLabel, Soundness>;
  /** How many backups would go, of how many. */
  readonly expiring: number;
  readonly total: number;
}

/**
 * Why nothing may go now, whatever the days say. Backups earn the end of older ones by being there and sound, so where the
 * newest are bad, or where none came for as long as the window, all stays. Of a clock that may be wrong, and of a plan that takes
 * too much, the operator has the last word.
 */
export function holdsOn(policy: RetentionPolicy, facts: RetentionFacts, subject: HoldSubject): readonly Hold[] {
  return [
    ...unsound(subject),
    ...failing(facts, subject),
    ...withoutNewBackup(policy, subject),
    ...[...doubtedClocks(facts), ...silence(facts), ...tooLargeShare(policy, subject)].filter(() => !facts.confirmed),
    ...unchecked(facts),
  ];
}

function unsound({ kept, soundness }: HoldSubject): readonly Hold[] {
  const bad = kept.map(({ label }) => soundness.get(label)).find((one) => one?.state === 'bad');
  if (bad === undefined) return [];
  const reason = `${bad.why ?? 'a newer backup is bad'}: older backups stay until a sound full one has come after it and has aged`;
  return [{ kind: 'unsound', reason, confirmable: false }];
}

function failing({ backupFailedAt }: RetentionFacts, { kept }: HoldSubject): readonly Hold[] {
  if (backupFailedAt === undefined || kept.some(({ stopTime }) => stopTime > backupFailedAt)) return [];
  const reason = `the last backup failed on ${formatInstantUtc(backupFailedAt, { fraction: 'none' })}, and none has succeeded since`;
  return [{ kind: 'failing', reason, confirmable: false }];
}

function withoutNewBackup({ days }: RetentionPolicy, { start, kept, soundness }: HoldSubject): readonly Hold[] {
  if (kept.some(({ label, stopTime }) => stopTime >= start && soundness.get(label)?.state !== 'bad')) return [];
  return [{ kind: 'no-new-backup', reason: `no backup has succeeded in the last ${days} days`, confirmable: false }];
}

function doubtedClocks({ clocks }: RetentionFacts): readonly Hold[] {
  const doubted = clocks.filter(({ aheadSeconds }) => Math.abs(aheadSeconds) > MOST_CLOCK_DIFFERENCE_SECONDS);
  return doubted.map(({ whose, aheadSeconds }) => {
    const relation = aheadSeconds < 0 ? 'ahead of' : 'behind';
    const reason = `the clock of this machine is ${formatDuration(Math.abs(aheadSeconds))} ${relation} that of ${whose}`;
    return { kind: 'clock', reason, confirmable: true };
  });
}

/** The newest backup and the newest WAL are what is known of the time beside our own clock. */
function silence({ snapshot, now }: RetentionFacts): readonly Hold[] {
  const signs = [
    ...snapshot.backups.map(({ stopTime }) => stopTime),
    ...(snapshot.walArchive?.ranges ?? []).flatMap(({ lastArchivedAt }) => lastArchivedAt ?? []),
  ];
  const newest = signs.reduce<Instant | undefined>((latest, sign) => (latest === undefined || sign > latest ? sign : latest), undefined);
  if (newest === undefined) return [];
  const seconds = secondsBetween(newest, now);
  const at = formatInstantUtc(newest, { fraction: 'none' });
  if (seconds > MOST_SILENCE_SECONDS) {
    const reason = `by the clock of this machine nothing has come into the repository for ${formatDuration(seconds)} (since ${at}): is it right?`;
    return [{ kind: 'clock', reason, confirmable: true }];
  }
  if (seconds >= -MOST_CLOCK_DIFFERENCE_SECONDS) return [];
  const reason = `the newest of the repository is of ${at}, which by the clock of this machine has not come yet: is it right?`;
  return [{ kind: 'clock', reason, confirmable: true }];
}

function tooLargeShare({ maxSharePercent }: RetentionPolicy, { expiring, total }: HoldSubject): readonly Hold[] {
  if (expiring * 100 <= maxSharePercent * total) return [];
  const reason = `${expiring} of ${total} backups would go at once, which is more than ${maxSharePercent} % (retention.maxSharePercent)`;
  return [{ kind: 'share', reason, confirmable: true }];
}

function unchecked({ own }: RetentionFacts): readonly Hold[] {
  if (!('unavailable' in own)) return [];
  return [{ kind: 'unchecked', reason: `the plan could not be compared with the engine's own: ${own.unavailable}`, confirmable: false }];
}
