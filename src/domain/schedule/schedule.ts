import type { BackupType, RepositoryName } from '../catalog/base-backup.ts';
import type { Instant } from '../time/instant.ts';
import type { Blackout } from './blackout.ts';
import type { CronPattern } from './cron-pattern.ts';

export type ScheduleKind = 'backup' | 'expire' | 'verify' | 'drill';

/** A schedule of one cluster, every name resolved. */
export interface Schedule {
  /** Unique within the cluster. */
  readonly name: string;
  readonly kind: ScheduleKind;
  /** Of backups only. */
  readonly type?: BackupType;
  readonly pattern: CronPattern;
  /** IANA name; also that of the blackouts. */
  readonly timezone: string;
  /** In the order of the configuration. */
  readonly repositories: readonly RepositoryName[];
  /** Each good backup is followed by an expire of its repository. */
  readonly expireAfterBackup: boolean;
  /** A run begins up to so much later than its occurrence, always the same for the same occurrence. */
  readonly jitterSeconds: number;
  /** A run that takes longer is ended. */
  readonly maximumRunSeconds?: number;
  /** When no run of it begins. */
  readonly blackouts: readonly Blackout[];
  /** Nothing of it is due. */
  readonly suspended: boolean;
}

/** When each schedule was first seen as it is now, by `scheduleIdentity`: what was due before is not caught up. */
export type FirstSeen = Readonly<Record<string, Instant>>;

/** Changes when a schedule begins to be due at other instants: then what it missed is none of its own. */
export function scheduleIdentity({ name, pattern, timezone }: Schedule): string {
  return `${name}|${pattern.text}|${timezone}`;
}

/**
 * Notes schedules that are new, drops those that are gone or suspended, and takes a note of the future, from before the clock
 * was put back, for one of now. To be kept between decisions.
 */
export function noteFirstSeen(known: FirstSeen, schedules: readonly Schedule[], now: Instant): FirstSeen {
  return Object.fromEntries(
    schedules
      .filter((schedule) => !schedule.suspended)
      .map(scheduleIdentity)
      .map((identity) => {
        const before = known[identity];
        return [identity, before === undefined || before > now ? now : before];
      }),
  );
}
