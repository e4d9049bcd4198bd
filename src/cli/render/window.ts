import { formatBytes } from '../../domain/bytes.ts';
import type { BackupCandidate } from '../../domain/recovery/choose-backup.ts';
import type { GapCause } from '../../domain/recovery/gap-cause.ts';
import type { RecoveryWindow } from '../../domain/recovery/window.ts';
import { formatLsn } from '../../domain/postgres/lsn.ts';
import { formatDuration } from '../../domain/time/duration.ts';
import { formatInstantIso, formatInstantLocal, formatInstantUtc, type Instant, secondsBetween } from '../../domain/time/instant.ts';
import type { ClusterWindows, ExplainedGap, RepositoryWindows } from '../../workflows/window/window.ts';
import { renderTable } from './table.ts';
import { type Axis, axisOf, drawBackups, drawWindows } from './window-drawing.ts';

export interface WindowView {
  readonly timezone: string | undefined;
  /** Of the terminal. */
  readonly columns: number;
}

const MOST_COLUMNS = 100;

/** Whether somebody should look: exit code 3. */
export function windowsNeedALook({ repositories, unreadable }: ClusterWindows): boolean {
  return unreadable.length > 0 || repositories.some(({ windows, gaps }) => windows.length === 0 || gaps.length > 0);
}

/** Drawn on one axis, then as a table, then each gap with its cause and its cost. */
export function renderWindows(found: ClusterWindows, view: WindowView): string {
  const { repositories, unreadable, now } = found;
  const parts = [
    drawing(found, view),
    renderTable(
      ['REPOSITORY', 'TIMELINE', 'RECOVERABLE FROM', 'TO', 'LASTS', 'BACKUPS', 'WAL TO', 'THEN'],
      repositories.flatMap((repository) => rowsOf(repository, view)),
    ),
    ...repositories.flatMap(({ gaps }) => gaps.map((gap) => gapLines(gap, view))),
    ...unreadable.map((one) => `${one.repository} could not be read: ${one.message}`),
    `asked ${instantText(now, view)}; whether one instant can be had: spoke-backup window --at <timestamp>`,
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function drawing({ repositories, now }: ClusterWindows, view: WindowView): string {
  const margin = Math.max(0, ...repositories.map(({ repository }) => repository.length)) + 2;
  const axis = axisOf(repositories, now, Math.min(view.columns, MOST_COLUMNS) - margin);
  if (axis === undefined) return '';
  const lines = repositories.flatMap((one) => {
    const backups = drawBackups(one, axis);
    return [`${one.repository.padEnd(margin)}${drawWindows(one, axis)}`, ...(backups === '' ? [] : [`${' '.repeat(margin)}${backups}`])];
  });
  return [...lines, `${' '.repeat(margin)}${scaleOf(axis)}`].join('\n');
}

/** Both ends of the axis, the right one as far right as it goes. */
function scaleOf({ from, to, columns }: Axis): string {
  const [left, right] = [from, to].map((instant) => formatInstantUtc(instant, { fraction: 'none' }));
  return `${left ?? ''}${(right ?? '').padStart(Math.max(columns - (left ?? '').length, (right ?? '').length + 1))}`;
}

function rowsOf({ repository, windows }: RepositoryWindows, view: WindowView): string[][] {
  if (windows.length === 0) return [[repository, '', 'nothing', '', '', '', '', '']];
  return windows.map((window) => [
    repository,
    String(window.timeline),
    instantText(window.from, view),
    window.to === undefined ? 'not known' : instantText(window.to, view),
    window.to === undefined ? '' : formatDuration(secondsBetween(window.from, window.to)),
    String(window.backups.length),
    formatLsn(window.toLsn),
    window.closedByGap ? 'a gap' : '',
  ]);
}

function gapLines(gap: ExplainedGap, view: WindowView): string {
  const { repository, timeline, firstMissing, lastMissing, segments, bytes } = gap;
  const names = firstMissing === lastMissing ? firstMissing : `${firstMissing} to ${lastMissing}`;
  return [
    `gap in ${repository}, timeline ${timeline}: ${names} (${segments} segment${segments === 1 ? '' : 's'}, ${formatBytes(bytes)}) missing`,
    `  cause  ${causeText(gap.cause)}`,
    `  cost   ${costText(gap, view)}`,
  ].join('\n');
}

function causeText(cause: GapCause): string {
  switch (cause.kind) {
    case 'elsewhere':
      return `${cause.repositories.join(' and ')} has it: it did not get here, or was lost here; restore with --repo ${cause.repositories[0] ?? ''}`;
    case 'before fork':
      return 'a standby was promoted before the last WAL of the old timeline had been archived';
    case 'nowhere':
      return 'no repository has it: it was never archived, or was lost in all of them';
  }
}

function costText({ before, after }: ExplainedGap, view: WindowView): string {
  const since = before === undefined ? 'after the last segment before it' : `after ${instantText(before, view)}`;
  if (after === undefined)
    return `nothing ${since} can be recovered on this way until a new backup is taken: spoke-backup backup --type full`;
  const lasts = before === undefined || after < before ? '' : `, ${formatDuration(secondsBetween(before, after))}`;
  return `nothing ${since} and before ${instantText(after, view)}${lasts}`;
}

function instantText(instant: Instant, { timezone }: WindowView): string {
  const utc = formatInstantUtc(instant, { fraction: 'none' });
  return timezone === undefined ? utc : `${utc} (${formatInstantLocal(instant, timezone)})`;
}

/** The windows as JSON. */
export function windowsToJson({ now, repositories, unreadable }: ClusterWindows) {
  return {
    now: formatInstantIso(now),
    repositories: repositories.map(({ repository, kind, windows, gaps }) => ({
      name: repository,
      kind,
      windows: windows.map(windowToJson),
      gaps: gaps.map(gapToJson),
    })),
    unreadable,
  };
}

/** One window as JSON. */
export function windowToJson({ timeline, from, to, fromLsn, toLsn, backups, closedByGap }: RecoveryWindow) {
  return {
    timeline,
    from: formatInstantIso(from),
    to: isoOrNull(to),
    fromLsn: formatLsn(fromLsn),
    toLsn: formatLsn(toLsn),
    backups,
    closedByGap,
  };
}

function gapToJson({
  timeline,
  firstMissing,
  lastMissing,
  resumesAt,
  fromLsn,
  toLsn,
  before,
  after,
  segments,
  bytes,
  cause,
}: ExplainedGap) {
  const [from, to] = [isoOrNull(before), isoOrNull(after)];
  const range = { fromLsn: formatLsn(fromLsn), toLsn: formatLsn(toLsn), from, to };
  return { timeline, firstMissing, lastMissing, resumesAt, ...range, segments, bytes: Number(bytes), cause };
}

function isoOrNull(instant: Instant | undefined): string | null {
  return instant === undefined ? null : formatInstantIso(instant);
}

/** A backup by which an instant can be had. */
export interface Way {
  readonly candidate: BackupCandidate;
  readonly estimatedSeconds: number;
}

/** That an instant can be recovered, and how. `echo`: the instant as it was understood. */
export function renderReachable(echo: string, ways: readonly Way[], next: string): string {
  return [
    `yes: ${echo}`,
    renderTable(
      ['REPOSITORY', 'BACKUP', 'TYPE', 'TIMELINE', 'SEGMENTS', 'WAL', 'ESTIMATE'],
      ways.map(({ candidate, estimatedSeconds }) => [
        candidate.repository,
        candidate.label,
        candidate.backup.type,
        String(candidate.timeline),
        `at most ${candidate.segmentCount}`,
        formatBytes(candidate.walBytes),
        formatDuration(estimatedSeconds),
      ]),
    ),
    ...(ways[0]?.candidate.reasons ?? []).map((reason) => `  ${reason}`),
    `next: ${next}`,
  ].join('\n');
}

/** The same as JSON. */
export function wayToJson({ candidate, estimatedSeconds }: Way) {
  const { repository, label, timeline, segmentCount, walBytes, reasons } = candidate;
  return {
    repository,
    label,
    type: candidate.backup.type,
    timeline,
    walSegments: segmentCount,
    walBytes: Number(walBytes),
    estimatedSeconds,
    reasons,
  };
}
