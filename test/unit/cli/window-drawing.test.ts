import { describe, expect, it } from 'vitest';
import { axisOf, drawBackups, drawWindows } from '../../../src/cli/render/window-drawing.ts';
import { explainGap } from '../../../src/domain/recovery/gap-cause.ts';
import { recoveryWindows } from '../../../src/domain/recovery/window.ts';
import type { RepositoryWindows } from '../../../src/workflows/window/window.ts';
import { at, backup, segments, snapshot } from '../domain/recovery/world.ts';

function windowsOf(options: Parameters<typeof snapshot>[0]): RepositoryWindows {
  const { repository, kind, backups, walArchive, ...rest } = snapshot(options);
  const { windows, gaps } = recoveryWindows({ repository, kind, backups, ...rest, ...(walArchive === undefined ? {} : { walArchive }) });
  const archive = walArchive ?? { segmentSizeBytes: 0, ranges: [], histories: [] };
  return { repository, kind, backups, windows, gaps: gaps.map((gap) => ({ ...gap, bytes: 0n, ...explainGap(gap, archive, []) })) };
}

describe('the drawing of what can be recovered', () => {
  // A ends at second 30 and reaches to 60; B ends at second 100 and reaches to 130.
  const split = windowsOf({ backups: [backup('A', 2), backup('B', 9, { type: 'incr' })], wal: [...segments(1, 5), ...segments(8, 12)] });

  it('has a column for each part of the time from the first instant to now', () => {
    const axis = axisOf([split], at(131), 10);
    // 31 … 131 in ten columns of ten seconds: recoverable 31 … 60, a gap 60 … 101, recoverable 101 … 130.
    expect(axis).toEqual({ from: at(31), to: at(131), columns: 10 });
    expect(axis && drawWindows(split, axis)).toBe('██╳╳╳╳╳╳██');
  });

  it('shows a gap that is narrower than a column', () => {
    const axis = axisOf([split], at(13_031), 13);
    expect(axis && drawWindows(split, axis)).toMatch(/^╳·+$/);
  });

  it('shows each backup where it ended, the fuller one where two meet', () => {
    const axis = axisOf([split], at(131), 10);
    expect(axis && drawBackups(split, axis)).toBe('      I');
    const wide = axisOf([split], at(1031), 2);
    expect(wide && drawBackups(split, wide)).toBe('I');
  });

  it('is left out where nothing can be recovered', () => {
    expect(axisOf([windowsOf({ backups: [], wal: [] })], at(1), 10)).toBeUndefined();
  });
});
