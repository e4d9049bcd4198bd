import type { Instant } from '../../domain/time/instant.ts';
import type { RepositoryWindows } from '../../workflows/window/window.ts';

/** A stretch of time from the left edge of a drawing to its right edge. */
export interface Axis {
  readonly from: Instant;
  readonly to: Instant;
  readonly columns: number;
}

const RECOVERABLE = '█';
const NOT_RECOVERABLE = '·';
/** A hole that is narrower than a column is drawn all the same. */
const GAP = '╳';

/** From the earliest instant that any repository reaches to now; undefined where none reaches anything. */
export function axisOf(repositories: readonly RepositoryWindows[], now: Instant, columns: number): Axis | undefined {
  const begins = repositories.flatMap(({ windows }) => windows.map(({ from }) => from));
  if (begins.length === 0) return undefined;
  const from = begins.reduce((earliest, one) => (one < earliest ? one : earliest));
  return from < now ? { from, to: now, columns: Math.max(columns, 1) } : undefined;
}

/** What can be recovered in each column, of any timeline; a gap wins over what lies beside it. */
export function drawWindows({ windows, gaps }: RepositoryWindows, axis: Axis): string {
  const cells = Array.from({ length: axis.columns }, () => NOT_RECOVERABLE);
  for (const { from, to } of windows) fill(cells, axis, from, to ?? axis.to, RECOVERABLE);
  for (const { before, after } of gaps) {
    if (before !== undefined) fill(cells, axis, before, after ?? before, GAP);
  }
  return cells.join('');
}

/** Where backups ended: F, D and I; the fuller one where several fall into one column. */
export function drawBackups({ backups }: RepositoryWindows, axis: Axis): string {
  const cells = Array.from({ length: axis.columns }, () => ' ');
  for (const type of ['incr', 'diff', 'full'] as const) {
    for (const backup of backups) {
      const column = columnOf(backup.stopTime, axis);
      if (backup.type === type && column !== undefined) cells[column] = type.charAt(0).toUpperCase();
    }
  }
  return cells.join('').trimEnd();
}

function fill(cells: string[], axis: Axis, from: Instant, to: Instant, mark: string): void {
  if (to < axis.from || from > axis.to) return;
  const first = columnOf(from < axis.from ? axis.from : from, axis) ?? 0;
  const last = columnOf(to > axis.to ? axis.to : to, axis) ?? axis.columns - 1;
  cells.fill(mark, first, last + 1);
}

function columnOf(instant: Instant, { from, to, columns }: Axis): number | undefined {
  if (instant < from || instant > to) return undefined;
  return Math.min(columns - 1, Number(((instant - from) * BigInt(columns)) / (to - from)));
}
