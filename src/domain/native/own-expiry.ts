import type { BackupLabel, BaseBackup } from '../catalog/base-backup.ts';
import type { OwnExpiry } from '../retention/policy.ts';
import type { Instant } from '../time/instant.ts';
import { rootOfLabel } from './label.ts';

const MICROS_PER_DAY = 86_400_000_000n;

type Aged = Pick<BaseBackup, 'label' | 'type' | 'stopTime'>;

/**
 * What goes by the days alone, reckoned from the names of the backups and apart from the policy, which is compared with it: all chains before
 * the newest full backup that finished longer ago than that. No pins, no verdicts. `records`: oldest first.
 */
export function ownExpiryOf(records: readonly Aged[], now: Instant, retentionDays: number): OwnExpiry {
  const oldEnough = now - BigInt(retentionDays) * MICROS_PER_DAY;
  let floor: BackupLabel | undefined;
  for (const { label, type, stopTime } of records) {
    if (type === 'full' && stopTime < oldEnough && (floor === undefined || label > floor)) floor = label;
  }
  if (floor === undefined) return { backups: [], walFloors: [] };
  const first = floor;
  return { backups: records.map(({ label }) => label).filter((label) => rootOfLabel(label) < first), walFloors: [first] };
}
