import { withStreamedWal } from '../catalog/archive-with-tail.ts';
import type { RepositoryName } from '../catalog/base-backup.ts';
import type { RepositorySnapshot } from '../catalog/repository-snapshot.ts';
import { formatBytes } from '../bytes.ts';
import { contiguousWalFrom } from '../recovery/timeline-path.ts';
import { formatDuration } from '../time/duration.ts';
import { formatInstantUtc, secondsBetween } from '../time/instant.ts';
import type { ArchiveFacts, ArchivingPrimary, StreamingFacts } from './archive-facts.ts';
import { primaryHistory } from './archive-reach.ts';
import type { HealthCode, HealthFinding } from './finding.ts';
import { forecastSlot, type SlotForecast, walBytesPerSecond } from './slot-forecast.ts';

/** What is said of streaming, and what is known to be well: code, and repository where it is about one. */
export interface StreamingHealth {
  readonly findings: readonly HealthFinding[];
  readonly well: readonly { readonly code: HealthCode; readonly repository?: RepositoryName }[];
}

/** A receiver that was ended is back within seconds; a primary that is restarted takes longer. */
const TOLERATED_DOWN_SECONDS = 60;
/** A tail that does not grow is confirmed every half minute. */
const TOLERATED_AGE_SECONDS = 90;
const MEBIBYTE = 1024n * 1024n;

/** How WAL is streamed to each repository beside the archive. Pure. */
export function streamingHealth(facts: ArchiveFacts): StreamingHealth {
  const { streaming, primary } = facts;
  if (streaming === undefined || primary === undefined) return { findings: [], well: [] };
  const lost = lostFinding(primary, streaming);
  const bound = unboundedFinding(primary, streaming);
  const down = downFinding(primary, streaming, facts);
  const behind = down === undefined ? facts.snapshots.flatMap((snapshot) => behindFinding(snapshot, streaming, facts)) : [];
  const isBehind = (name: RepositoryName) => behind.some(({ repository }) => repository === name);
  const upToDate = down === undefined ? facts.snapshots.map(({ repository }) => repository).filter((name) => !isBehind(name)) : [];
  return {
    findings: [...lost, ...(down === undefined ? [] : [down]), ...behind, ...bound],
    well: [
      ...(down === undefined ? [{ code: 'streaming-down' } as const] : []),
      ...upToDate.map((repository) => ({ code: 'streaming-behind', repository }) as const),
    ],
  };
}

function slotOf({ slots }: ArchivingPrimary, { slot }: StreamingFacts) {
  return slots.find(({ name }) => name === slot);
}

function lostFinding(primary: ArchivingPrimary, streaming: StreamingFacts): readonly HealthFinding[] {
  if (slotOf(primary, streaming)?.walStatus !== 'lost') return [];
  return [
    {
      code: 'slot-lost',
      severity: 'warning',
      message: `replication slot ${streaming.slot} on ${primary.node}, by which WAL is streamed, is lost`,
      evidence: ['pg_replication_slots.wal_status: lost'],
      cause:
        'Streaming was down for longer than max_slot_wal_keep_size lasts. The daemon makes the slot anew; the archive has to fill the hole.',
      nextCommand: 'spoke-backup status',
    },
  ];
}

function unboundedFinding({ node }: ArchivingPrimary, { slot, slotKeepsMib }: StreamingFacts): readonly HealthFinding[] {
  if (slotKeepsMib === undefined || slotKeepsMib >= 0) return [];
  return [
    {
      code: 'slot-unbounded',
      severity: 'warning',
      message: `replication slot ${slot} on ${node} may keep WAL until its disk is full`,
      evidence: ['max_slot_wal_keep_size: -1'],
      cause: 'Without a bound a slot that nobody reads keeps all WAL, and PostgreSQL stops when there is no more room.',
      nextCommand: 'spoke-backup setup archiving --dry-run',
    },
  ];
}

function downFinding(primary: ArchivingPrimary, streaming: StreamingFacts, facts: ArchiveFacts): HealthFinding | undefined {
  const reason = whyDown(primary, streaming, facts);
  if (reason === undefined) return undefined;
  const slot = slotOf(primary, streaming);
  const forecast = forecastOf(primary, streaming, facts);
  const kept = slot?.retainedBytes === undefined ? [] : [`slot ${slot.name} keeps ${formatBytes(slot.retainedBytes)} of WAL`];
  return {
    code: 'streaming-down',
    severity: 'critical',
    message: `WAL of ${primary.node} is not streamed: a commit is safe only once its segment is archived${forecastText(forecast)}`,
    evidence: [
      slot === undefined ? `slot ${streaming.slot} is not there` : `slot ${slot.name} is ${slot.active ? '' : 'not '}active`,
      ...kept,
    ],
    cause: reason,
    nextCommand: 'spoke-backup status',
  };
}

/** Whoever streams knows best; of somebody else's streaming the slot and what has come to the repositories tell. */
function whyDown(primary: ArchivingPrimary, streaming: StreamingFacts, { now, snapshots }: ArchiveFacts): string | undefined {
  const { receiver } = streaming;
  if (receiver !== undefined) {
    const isDown = receiver.kind === 'down' && secondsBetween(receiver.since, now) > TOLERATED_DOWN_SECONDS;
    return isDown ? receiver.reason : undefined;
  }
  if (slotOf(primary, streaming)?.active === true) return undefined;
  const ages = snapshots.flatMap(({ tail }) => (tail === undefined ? [] : [secondsBetween(tail.at, now)]));
  if (ages.some((age) => age <= toleratedAgeSeconds(streaming))) return undefined;
  return 'Nobody receives it: the daemon of this cluster does not run, or cannot connect.';
}

function forecastOf(primary: ArchivingPrimary, streaming: StreamingFacts, facts: ArchiveFacts): SlotForecast | undefined {
  const retainedBytes = slotOf(primary, streaming)?.retainedBytes;
  const { slotKeepsMib } = streaming;
  const bytesPerSecond = walBytesPerSecond(facts);
  if (retainedBytes === undefined || bytesPerSecond === undefined) return undefined;
  const keepsBytes = slotKeepsMib === undefined || slotKeepsMib < 0 ? undefined : BigInt(slotKeepsMib) * MEBIBYTE;
  return forecastSlot({ now: facts.now, bytesPerSecond, retainedBytes, keepsBytes, freeBytes: primary.walFreeBytes });
}

function forecastText(forecast: SlotForecast | undefined): string {
  if (forecast === undefined) return '';
  const at = formatInstantUtc(forecast.at, { fraction: 'none' });
  return forecast.kind === 'lost'
    ? `; the slot keeps what is missing until about ${at}`
    : `; the disk under pg_wal is full at about ${at} because of its slot, and PostgreSQL stops then`;
}

function behindFinding(
  { repository, tail, tailUnreadable }: RepositorySnapshot,
  streaming: StreamingFacts,
  { now }: ArchiveFacts,
): readonly HealthFinding[] {
  const { receiver } = streaming;
  if (tail !== undefined && secondsBetween(tail.at, now) <= toleratedAgeSeconds(streaming)) return [];
  // It has only just begun.
  if (receiver !== undefined && (receiver.kind === 'down' || secondsBetween(receiver.since, now) <= TOLERATED_AGE_SECONDS)) return [];
  const age = tail === undefined ? 'there is none yet' : `the newest is ${formatDuration(secondsBetween(tail.at, now))} old`;
  return [
    {
      code: 'streaming-behind',
      severity: 'critical',
      repository,
      message: `streamed WAL does not reach repository ${repository}: ${age}`,
      evidence: tailUnreadable === undefined ? [] : [tailUnreadable],
      cause: 'The repository does not answer or takes nothing; the log of the daemon tells why.',
      nextCommand: 'spoke-backup config check --online',
    },
  ];
}

function toleratedAgeSeconds({ tailSeconds }: StreamingFacts): number {
  return Math.max(TOLERATED_AGE_SECONDS, 4 * tailSeconds);
}

/**
 * How much time of commits a repository lacks by what was streamed to it; undefined where nothing was, or where it does not follow the
 * archive without a hole.
 */
export function streamedExposureSeconds(
  repository: RepositoryName,
  { snapshots, primary, now, ...facts }: ArchiveFacts,
): number | undefined {
  const snapshot = snapshots.find((one) => one.repository === repository);
  const { tail } = snapshot ?? {};
  const backup = snapshot?.backups.at(-1);
  const archive = snapshot === undefined ? undefined : withStreamedWal(snapshot).walArchive;
  if (tail === undefined || archive === undefined || backup === undefined || primary === undefined) return undefined;
  const history = primaryHistory(primary, { ...facts, snapshots: [{ ...snapshot, walArchive: archive } as RepositorySnapshot], now });
  const { gap, endTimeline } = contiguousWalFrom(archive, history, backup.startLsn);
  return gap !== undefined || endTimeline !== primary.timeline ? undefined : Math.max(0, secondsBetween(tail.at, now));
}
