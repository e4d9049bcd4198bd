import { formatBytes } from '../bytes.ts';
import { formatDuration } from '../time/duration.ts';
import { formatInstantUtc, secondsBetween } from '../time/instant.ts';
import type { ArchiveFacts, ArchivingPrimary, SlotFacts } from './archive-facts.ts';
import type { RepositoryArchive } from './archive-state.ts';
import type { DiskForecast } from './disk-forecast.ts';
import type { HealthFinding } from './finding.ts';

const DAY_SECONDS = 86_400;
const CRITICAL_SECONDS = 2 * 3600;

/** Whether the file system under pg_wal fills up, and what keeps the WAL there: PostgreSQL stops when it is full. */
export function diskFindings(
  primary: ArchivingPrimary,
  forecast: DiskForecast,
  repositories: readonly RepositoryArchive[],
  { now }: ArchiveFacts,
): readonly HealthFinding[] {
  if (forecast.kind !== 'filling') return [];
  const seconds = secondsBetween(now, forecast.fullAt);
  if (seconds > DAY_SECONDS) return [];
  const growth = `${formatBytes(Math.round(forecast.bytesPerSecond * 60))} a minute`;
  const wal = primary.walBytes === undefined ? [] : [`pg_wal holds ${formatBytes(primary.walBytes)}`];
  return [
    {
      code: 'disk-filling',
      severity: seconds <= CRITICAL_SECONDS ? 'critical' : 'warning',
      message: `the file system under pg_wal of ${primary.node} is full in ${formatDuration(Math.max(0, seconds))}, at ${formatInstantUtc(forecast.fullAt, { fraction: 'none' })}; PostgreSQL stops then`,
      evidence: [`free: ${formatBytes(forecast.freeBytes)}, less by ${growth}`, ...wal],
      cause: whatKeepsWal(primary, repositories),
      nextCommand: 'spoke-backup status',
    },
  ];
}

function whatKeepsWal({ slots, walBytes }: ArchivingPrimary, repositories: readonly RepositoryArchive[]): string {
  const stuck = repositories.filter(({ archive }) => archive.state === 'failing' || archive.state === 'lagging');
  if (stuck.length > 0) return `WAL waits for ${stuck.map(({ repository }) => `repository ${repository}`).join(' and ')}.`;
  const greediest = mostRetaining(slots);
  const isMost = walBytes !== undefined && greediest?.retainedBytes !== undefined && greediest.retainedBytes * 2n > walBytes;
  if (greediest !== undefined && isMost) return `Replication slot ${greediest.name} keeps ${formatBytes(greediest.retainedBytes ?? 0n)}.`;
  return 'Something else than the archive or a replication slot takes the space.';
}

function mostRetaining(slots: readonly SlotFacts[]): SlotFacts | undefined {
  return slots.toSorted((left, right) => Number((right.retainedBytes ?? 0n) - (left.retainedBytes ?? 0n)))[0];
}

/** Slots whose standby cannot go on, and slots of nobody that keep WAL. `ownSlot` is no standby's: what is said of streaming is said of it. */
export function slotFindings({ node, slots, walFreeBytes }: ArchivingPrimary, ownSlot: string | undefined): readonly HealthFinding[] {
  return slots.flatMap((slot): HealthFinding[] => {
    if (slot.name === ownSlot) return [];
    if (slot.walStatus === 'lost') return [lostSlot(node, slot)];
    const retained = slot.retainedBytes ?? 0n;
    const isGreedy = slot.walStatus === 'unreserved' || (walFreeBytes !== undefined && retained > walFreeBytes);
    return !slot.active && isGreedy ? [greedySlot(node, slot, retained)] : [];
  });
}

function lostSlot(node: string, { name }: SlotFacts): HealthFinding {
  return {
    code: 'slot-lost',
    severity: 'critical',
    message: `replication slot ${name} on ${node} is lost: its standby cannot go on and has to be seeded again`,
    evidence: ['pg_replication_slots.wal_status: lost'],
    cause: 'The standby was away for longer than max_slot_wal_keep_size lasts.',
    nextCommand: `psql -c "SELECT pg_drop_replication_slot('${name}')"`,
  };
}

function greedySlot(node: string, { name, walStatus }: SlotFacts, retained: bigint): HealthFinding {
  return {
    code: 'slot-retains-wal',
    severity: 'warning',
    message: `replication slot ${name} on ${node} is used by nobody and keeps ${formatBytes(retained)} of WAL`,
    evidence: [`pg_replication_slots: not active, wal_status ${walStatus ?? 'unknown'}`],
    cause: 'Its standby is down, or was removed without its slot.',
    nextCommand: 'spoke-backup status',
  };
}
