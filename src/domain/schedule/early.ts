import { formatBytes } from '../bytes.ts';
import type { BackupType, RepositoryName } from '../catalog/base-backup.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { estimateRestoreSeconds, type ReplayRate } from '../recovery/estimate.ts';
import { formatDuration } from '../time/duration.ts';
import { addMicros, type Instant } from '../time/instant.ts';
import { type EngineFacts, type EnginesByRepository } from './engine-facts.ts';

/** What is known of a repository when it is decided what is due. */
export interface RepositoryFacts {
  readonly name: RepositoryName;
  readonly kind: 'local' | 's3';
  /** When it was looked at, by our clock. */
  readonly readAt: Instant;
  /** Absent where it has none. */
  readonly lastBackup?: {
    readonly timeline: TimelineId;
    readonly startedAt: Instant;
    readonly endedAt: Instant;
    readonly databaseBytes: bigint;
  };
  /** WAL from the start of the last backup until now; absent where that is not known. */
  readonly walBytesSinceBackup?: bigint;
  readonly replayRate: ReplayRate;
  /** Why what is committed from now on cannot be recovered without another backup: WAL is missing for good. Absent where it can. */
  readonly gap?: string;
}

export interface EarlyFacts {
  readonly engines: EnginesByRepository;
  /** Of the primary now; absent where none answers. */
  readonly timeline?: TimelineId;
  /** The longest that a restore may take. */
  readonly rtoSeconds?: number;
  readonly now: Instant;
}

/** A backup that is due though no schedule says so. */
export interface EarlyBackup {
  readonly type: BackupType;
  readonly reason: string;
  /** Whether it waits for the end of a blackout: after a change of the timeline nothing does. */
  readonly heedsBlackouts: boolean;
}

/** Why a backup of that repository is due at once; undefined where it is not. */
export function earlyBackup(repository: RepositoryFacts, facts: EarlyFacts): EarlyBackup | undefined {
  const engine = facts.engines.get(repository.name) ?? {};
  const early = afterGap(repository) ?? afterTimelineChange(repository, facts, engine) ?? beyondRecoveryTime(repository, facts);
  // What is due early is needed: where there are no incrementals it is a full one, whatever scheduled ones become.
  return early === undefined || engine.withoutIncremental === undefined ? early : { ...early, type: 'full' };
}

/** Until then everything that is committed is lost to this repository. */
function afterGap({ gap }: RepositoryFacts): EarlyBackup | undefined {
  return gap === undefined ? undefined : { type: 'incr', reason: gap, heedsBlackouts: false };
}

/** Whoever compares checksums needs no full backup on a new timeline. */
function afterTimelineChange(
  { lastBackup }: RepositoryFacts,
  { timeline }: EarlyFacts,
  { needsFullOnNewTimeline }: EngineFacts,
): EarlyBackup | undefined {
  if (lastBackup === undefined || timeline === undefined || timeline === lastBackup.timeline) return undefined;
  return {
    type: needsFullOnNewTimeline === true ? 'full' : 'incr',
    reason: `the primary is on timeline ${timeline}, the last backup on timeline ${lastBackup.timeline}`,
    heedsBlackouts: false,
  };
}

function beyondRecoveryTime(repository: RepositoryFacts, { rtoSeconds, now }: EarlyFacts): EarlyBackup | undefined {
  const { lastBackup, walBytesSinceBackup, replayRate } = repository;
  if (rtoSeconds === undefined || lastBackup === undefined || walBytesSinceBackup === undefined) return undefined;
  const leftSeconds = replaySecondsLeft(repository, rtoSeconds);
  const replaySeconds = Number(walBytesSinceBackup) / replayRate.bytesPerSecond;
  if (leftSeconds <= 0 || replaySeconds <= leftSeconds || now < earliest(lastBackup)) return undefined;
  const rate = `${formatBytes(Math.round(replayRate.bytesPerSecond))}/s, ${describeOrigin(replayRate)}`;
  return {
    type: 'incr',
    reason:
      `replaying the ${formatBytes(walBytesSinceBackup)} of WAL since the last backup would take ${formatDuration(replaySeconds)} ` +
      `(${rate}), and of the ${formatDuration(rtoSeconds)} for a recovery ${formatDuration(leftSeconds)} are left for it`,
    heedsBlackouts: true,
  };
}

/**
 * How long replay may take so that the recovery stays within its time. Not positive where copying the backup alone takes
 * longer: then no backup taken early helps.
 */
export function replaySecondsLeft({ kind, lastBackup }: RepositoryFacts, rtoSeconds: number): number {
  return rtoSeconds - estimateRestoreSeconds(kind, lastBackup?.databaseBytes ?? 0n, 0n);
}

/** Where WAL comes faster than its time allows, backups would follow each other without a pause: no more than a fifth of the time. */
function earliest({ startedAt, endedAt }: NonNullable<RepositoryFacts['lastBackup']>): Instant {
  return addMicros(endedAt, 4n * (endedAt - startedAt));
}

function describeOrigin({ samples }: ReplayRate): string {
  if (samples === 0) return 'assumed until a restore has been measured';
  return `measured in ${samples} ${samples === 1 ? 'restore' : 'restores'}`;
}
