import type { BackupLabel, BackupType } from '../catalog/base-backup.ts';
import { formatInstantIso, instantOfSeconds, type Instant, parsePostgresTimestamp } from '../time/instant.ts';

const LABEL = /^(?:\d{8}-\d{6}F_)?(\d{4})(\d{2})(\d{2})-(\d{2})(\d{2})(\d{2})[FI]$/;
const MICROS_PER_SECOND = 1_000_000n;

/** Whether a folder's name is that of a backup: `20261125-020003F`, or `20261125-020003F_20261125-080002I`. */
export function isNativeLabel(name: string): name is BackupLabel {
  return instantOfLabel(name) !== undefined;
}

/** The second that a label names, UTC; of an incremental its own. Undefined for what is no label. */
export function instantOfLabel(label: string): Instant | undefined {
  const [, year, month, day, hour, minute, second] = LABEL.exec(label) ?? [];
  if (year === undefined) return undefined;
  try {
    return parsePostgresTimestamp(`${year}-${month}-${day} ${hour}:${minute}:${second}+00`);
  } catch {
    return undefined;
  }
}

/** The full backup in a label's name: a full one's own. */
export function rootOfLabel(label: BackupLabel): BackupLabel {
  return (label.split('_')[0] ?? label) as BackupLabel;
}

export interface LabelRequest {
  readonly type: Exclude<BackupType, 'diff'>;
  /** When it began, by the server's clock. */
  readonly startTime: Instant;
  /** The full backup of the chain; for an incremental. */
  readonly root?: BackupLabel;
  /** All that is in the repositories, also of backups that never became complete. */
  readonly taken: readonly string[];
}

/**
 * The label of a new backup: the second in which it began, or the one after the newest label's where that is not earlier. So labels sort as
 * backups were taken and none comes twice, also after the server's clock was set back.
 */
export function nextLabel({ type, startTime, root, taken }: LabelRequest): BackupLabel {
  const newest = taken.reduce((latest, name) => {
    const at = instantOfLabel(name);
    return at !== undefined && at > latest ? at : latest;
  }, 0n);
  const second = startTime / MICROS_PER_SECOND;
  const free = newest / MICROS_PER_SECOND + 1n;
  const stamp = stampOf(instantOfSeconds(second > free ? second : free));
  return (type === 'full' ? `${stamp}F` : `${root ?? ''}_${stamp}I`) as BackupLabel;
}

/** `20261125-020003` */
function stampOf(instant: Instant): string {
  const iso = formatInstantIso(instant);
  return `${iso.slice(0, 10).replaceAll('-', '')}-${iso.slice(11, 19).replaceAll(':', '')}`;
}
