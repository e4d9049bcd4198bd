import type { BackupLabel, RepositoryName } from '../../domain/catalog/base-backup.ts';
import { parseLsn, formatLsn } from '../../domain/postgres/lsn.ts';
import { type TimelineId, timelineIdOf } from '../../domain/postgres/timeline.ts';
import type { RecoveryTarget, TargetTimeline } from '../../domain/recovery/target.ts';
import { instantOfMicros } from '../../domain/time/instant.ts';
import type { HeldServer } from '../../plan/change-primary-steps.ts';
import type { RestoreArea, TablespaceMapping } from '../../plan/step.ts';
import type { ServiceManager } from '../../ports/service-control.ts';
import type { FileOwner } from '../../ports/instance.ts';

/** One way to reach the target, as it was chosen and shown. The first is used; the others stand by. */
export interface PinnedCandidate {
  readonly repository: RepositoryName;
  readonly label: BackupLabel;
  readonly type: 'full' | 'diff' | 'incr';
  /** The timeline that the choice was made for: `latest` might mean another one by the time of the replay. */
  readonly timeline: 'current' | TimelineId;
  /** By the rates that are assumed so far. */
  readonly estimatedSeconds: number;
  readonly walSegments: number;
  readonly walBytes: string;
  readonly databaseBytes: string;
  /** What lies on disk beside that until one database has been made of several backups; absent where none is made of several. */
  readonly stagedBytes?: string;
  /** Where contiguous WAL was known to reach: replay to `latest` has to come so far. */
  readonly leastLsn: string | null;
  readonly lastArchivedSegment: string | null;
  readonly reasons: readonly string[];
  /** Streamed WAL that goes beyond the archive; null, or absent in an older journal: there is none, or the target needs none. */
  readonly tail?: PinnedTail | null;
}

/** The end of the WAL that was streamed beside the archive, as it was seen. */
export interface PinnedTail {
  /** Segment names, oldest first. */
  readonly segments: readonly string[];
  readonly histories: readonly { readonly name: string; readonly text: string }[];
  /** How far the archive alone goes, and how far it goes with it. */
  readonly fromLsn: string;
  readonly toLsn: string;
  /** Everything that had come from the primary by then is in it; microseconds since the epoch. */
  readonly atMicros: string;
}

/**
 * What a restore is for, decided once and written down before its first step; plain JSON.
 * A run that is resumed does what this says, not what a new decision would say.
 */
export interface RestoreIntent {
  readonly cluster: string;
  readonly target: RecoveryTargetJson;
  readonly candidates: readonly PinnedCandidate[];
  /** The node whose data directory is replaced; null where the restore goes to a directory of its own. */
  readonly inPlaceNode: string | null;
  readonly dataDirectory: string;
  /** device:inode of what was there and was confirmed; null where there was nothing. */
  readonly destinationIdentity: string | null;
  /** Where the replaced data directory is kept; null where there is none to keep. */
  readonly oldDataDirectory: string | null;
  readonly area: RestoreArea;
  readonly owner: FileOwner;
  readonly postgresMajor: number;
  readonly systemIdentifier: string;
  readonly superusers: readonly string[];
  readonly tablespaceMap: readonly TablespaceMapping[];
  readonly targetAction: 'promote' | 'pause';
  readonly start: boolean;
  readonly discardOld: boolean;
  readonly port: number;
  readonly socketDirectory: string;
  readonly service: ServiceManager;
  /** `keep`: as the cluster had it (in place); `off`: a copy must not write into the archive of its original. */
  readonly archiving: 'keep' | 'off';
  /** The reachable primary whose current segment is closed and archived first; null where there is none to ask. */
  readonly closeWalOn: string | null;
  /** Whether the target can be reached although that fails. */
  readonly closeWalMayFail: boolean;
  /** A data directory at hand that may hold WAL which never reached the archive. */
  readonly salvageFrom: string | null;
  /** Data directories that earlier restores replaced and that have been kept long enough. */
  readonly outdated: readonly OutdatedDirectory[];
  /** Whom Patroni has to have for its leader at the end; null, or absent in an older journal: Patroni is not concerned. */
  readonly patroni?: PatroniOfRestore | null;
  readonly warnings: readonly string[];
  /** Those that are stopped with the primary and seeded again from it; absent where the restore is of one node. */
  readonly standbys?: readonly StandbyOfRestore[];
  /** Whether a backup on the new timeline follows, as a run of its own. */
  readonly thenBackup?: boolean;
}

/** A standby of the primary that is restored in place. */
export interface StandbyOfRestore {
  readonly server: HeldServer;
  readonly owner: FileOwner;
}

/** The member of Patroni that is restored in place. */
export interface PatroniOfRestore {
  readonly member: string;
  /** Somebody had paused it before: then it stays paused. */
  readonly wasPaused: boolean;
}

/** A data directory that an earlier restore replaced. */
export interface OutdatedDirectory {
  readonly path: string;
  readonly identity: string;
  /** For how many days it had to be kept. */
  readonly days: number;
}

/** RecoveryTarget without bigints. */
export type RecoveryTargetJson =
  | { readonly kind: 'time'; readonly epochMicros: string; readonly inclusive: boolean }
  | { readonly kind: 'lsn'; readonly lsn: string; readonly inclusive: boolean }
  | { readonly kind: 'xid'; readonly xid: string; readonly inclusive: boolean }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'immediate' }
  | { readonly kind: 'latest' };

/** The target as it is stored. */
export function targetToJson(target: RecoveryTarget): RecoveryTargetJson {
  switch (target.kind) {
    case 'time':
      return { kind: 'time', epochMicros: String(target.time), inclusive: target.inclusive };
    case 'lsn':
      return { kind: 'lsn', lsn: formatLsn(target.lsn), inclusive: target.inclusive };
    case 'xid':
      return { kind: 'xid', xid: String(target.xid), inclusive: target.inclusive };
    case 'name':
    case 'immediate':
    case 'latest':
      return target;
  }
}

/** The stored target as the domain has it. */
export function targetFromJson(target: RecoveryTargetJson): RecoveryTarget {
  switch (target.kind) {
    case 'time':
      return { kind: 'time', time: instantOfMicros(BigInt(target.epochMicros)), inclusive: target.inclusive };
    case 'lsn':
      return { kind: 'lsn', lsn: parseLsn(target.lsn), inclusive: target.inclusive };
    case 'xid':
      return { kind: 'xid', xid: BigInt(target.xid), inclusive: target.inclusive };
    case 'name':
    case 'immediate':
    case 'latest':
      return target;
  }
}

/** `latest`, `current` or a number, as typed. Throws RangeError on anything else. */
export function parseTargetTimeline(text: string): TargetTimeline {
  if (text === 'latest' || text === 'current') return text;
  if (!/^\d{1,10}$/.test(text)) throw new RangeError(`not a timeline: "${text}"`);
  return timelineIdOf(Number(text));
}

/** Every path of a restore area. `suffix` is unique; sockets go to /tmp where the path would exceed the 107 bytes of a socket's name. */
export function restoreAreaFor(dataDirectory: string, suffix: string): RestoreArea {
  const parent = dataDirectory.slice(0, dataDirectory.lastIndexOf('/')) || '/';
  const root = `${parent === '/' ? '' : parent}/.spoke-restore-${suffix}`;
  const beside = `${root}/s`;
  return {
    root,
    dataDirectory: `${root}/data`,
    workDirectory: `${root}/work`,
    socketDirectory: new TextEncoder().encode(beside).length > 85 ? `/tmp/.spoke-${suffix}` : beside,
    markerFile: `${root}/restore.json`,
    proofFile: `${root}/proof.json`,
    logFile: `${root}/recovery.log`,
    hbaFile: `${root}/hba.conf`,
    configFile: `${root}/isolated.conf`,
  };
}
