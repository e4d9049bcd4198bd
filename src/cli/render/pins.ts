import type { RepositorySnapshot } from '../../domain/catalog/repository-snapshot.ts';
import { rangeContaining } from '../../domain/catalog/wal-archive.ts';
import { segmentNumberOf, walSegmentName } from '../../domain/postgres/wal-segment.ts';
import { formatUntil, type Pin, untilToText } from '../../domain/retention/pin.ts';
import { formatInstantIso, formatInstantUtc } from '../../domain/time/instant.ts';
import { renderTable } from './table.ts';

/** A pin with what its repository holds now, where it could be read. */
export interface ShownPin {
  readonly pin: Pin;
  readonly isActive: boolean;
  readonly snapshot: RepositorySnapshot | undefined;
}

/** How far the WAL goes on from the backup without a gap. */
function walOf({ pin, snapshot }: ShownPin) {
  const backup = snapshot?.backups.find(({ label }) => label === pin.label);
  const archive = snapshot?.walArchive;
  if (backup === undefined || archive === undefined) return undefined;
  const range = rangeContaining(archive, backup.timeline, segmentNumberOf(backup.startLsn, archive.segmentSizeBytes));
  if (range === undefined) return undefined;
  return { lastSegment: walSegmentName(range.timeline, range.lastSegment, archive.segmentSizeBytes), lastArchivedAt: range.lastArchivedAt };
}

function stateOf({ pin, isActive, snapshot }: ShownPin): string {
  if (snapshot === undefined) return 'unknown';
  if (!snapshot.backups.some(({ label }) => label === pin.label)) return 'no such backup';
  return isActive ? 'holds' : 'has ended';
}

export function renderPins(pins: readonly ShownPin[]): string {
  if (pins.length === 0) return 'no pins';
  return renderTable(
    ['REPO', 'LABEL', 'UNTIL', 'STATE', 'WAL UP TO', 'REASON'],
    pins.map((shown) => {
      const wal = walOf(shown);
      const at = wal?.lastArchivedAt === undefined ? '' : ` (${formatInstantUtc(wal.lastArchivedAt, { fraction: 'none' })})`;
      const { repository, label, until, reason } = shown.pin;
      return [repository, label, formatUntil(until), stateOf(shown), wal === undefined ? '' : `${wal.lastSegment}${at}`, reason];
    }),
  );
}

export function pinToJson(shown: ShownPin) {
  const { repository, label, until, reason } = shown.pin;
  const wal = walOf(shown);
  return {
    repository,
    label,
    until: untilToText(until),
    reason,
    state: stateOf(shown),
    walUpTo:
      wal === undefined
        ? null
        : { segment: wal.lastSegment, archivedAt: wal.lastArchivedAt === undefined ? null : formatInstantIso(wal.lastArchivedAt) },
  };
}
