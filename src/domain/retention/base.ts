import type { BackupLabel, BaseBackup } from '../catalog/base-backup.ts';
import { type Instant, instantOfSeconds } from '../time/instant.ts';
import type { Soundness } from './soundness.ts';

const SECONDS_PER_DAY = 86_400n;
const MICROS_PER_SECOND = 1_000_000n;

/** The beginning of the window, in whole seconds as pgBackRest reckons it. */
export function windowStart(now: Instant, days: number): Instant {
  return instantOfSeconds(now / MICROS_PER_SECOND - BigInt(days) * SECONDS_PER_DAY);
}

/**
 * The full backup that the beginning of the window is recovered from: walking from the newest to older ones, the first sound one
 * that finished before it. What is older than it is not needed (pgBackRest: expireTimeBasedBackup, which does not ask whether
 * it is sound). One that by the server's clock ended before it began does not count: that clock was set back meanwhile, and when
 * the backup was whole is not known. Undefined where there is none, and all is needed.
 */
export function findBase(
  backups: readonly BaseBackup[],
  start: Instant,
  soundness: ReadonlyMap<BackupLabel, Soundness>,
): BaseBackup | undefined {
  return backups.findLast(
    ({ type, startTime, stopTime, label }) =>
      type === 'full' && startTime <= stopTime && stopTime < start && soundness.get(label)?.state === 'sound',
  );
}

/** Whether by its days alone something could go: a look that costs nothing. */
export function hasPastWindow(backups: readonly BaseBackup[], now: Instant, days: number): boolean {
  const base = findOwnBase(backups, windowStart(now, days));
  return base !== undefined && backups.indexOf(base) > 0;
}

/** Which one pgBackRest would take. */
export function findOwnBase(backups: readonly BaseBackup[], start: Instant): BaseBackup | undefined {
  return backups.findLast((backup) => backup.type === 'full' && backup.stopTime < start);
}
