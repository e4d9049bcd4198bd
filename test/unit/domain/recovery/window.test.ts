import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recoveryWindows } from '../../../../src/domain/recovery/window.ts';
import { at, backup, history, LOCAL, lsnIn, segments, snapshot } from './world.ts';

describe('the recovery windows of a repository', () => {
  it('begin one second after a backup’s noted stop and reach to the end of the WAL', () => {
    const { windows, gaps } = recoveryWindows(snapshot({ backups: [backup('A', 2), backup('B', 5)], wal: segments(1, 9) }));
    expect(gaps).toEqual([]);
    expect(windows).toEqual([
      {
        repository: LOCAL,
        timeline: 1,
        from: at(31),
        fromLsn: lsnIn(3, 256),
        to: at(100),
        toLsn: lsnIn(10),
        backups: ['A', 'B'],
        closedByGap: false,
      },
    ]);
  });

  it('are split by a gap, which tells the instants on both sides', () => {
    const { windows, gaps } = recoveryWindows(
      snapshot({ backups: [backup('A', 2), backup('B', 9)], wal: [...segments(1, 5), ...segments(8, 12)] }),
    );
    expect(windows.map(({ from, to, backups, closedByGap }) => ({ from, to, backups, closedByGap }))).toEqual([
      { from: at(31), to: at(60), backups: ['A'], closedByGap: true },
      { from: at(101), to: at(130), backups: ['B'], closedByGap: false },
    ]);
    expect(gaps).toEqual([
      {
        repository: LOCAL,
        timeline: 1,
        firstMissing: '000000010000000000000006',
        lastMissing: '000000010000000000000007',
        resumesAt: '000000010000000000000008',
        fromLsn: lsnIn(6),
        toLsn: lsnIn(8),
        before: at(60),
        after: at(101),
      },
    ]);
  });

  it('leave out a backup that is damaged, incomplete, of another cluster or without its own WAL', () => {
    const backups = [
      backup('pages', 2, { hasPageErrors: true }),
      backup('orphan', 3, { references: ['gone'] }),
      backup('foreign', 4, { systemIdentifier: '7300000000000000002' }),
      backup('without', 20),
    ];
    expect(recoveryWindows(snapshot({ backups, wal: segments(1, 9) })).windows).toEqual([]);
  });

  it('leave out a backup that began before the WAL that a shorter one needs', () => {
    const backups = [backup('short', 6), backup('long', 2, { length: 6 })];
    expect(recoveryWindows(snapshot({ backups, wal: segments(5, 11) })).windows.map((window) => window.backups)).toEqual([['short']]);
    expect(recoveryWindows(snapshot({ backups, wal: segments(1, 11) })).windows.map((window) => window.backups)).toEqual([
      ['short', 'long'],
    ]);
  });

  it('do not exist where the archive was not listed or holds nothing', () => {
    const { walArchive: _archive, ...unlisted } = snapshot({ backups: [backup('A', 2)] });
    expect(recoveryWindows(unlisted)).toEqual({ windows: [], gaps: [] });
    expect(recoveryWindows(snapshot({ backups: [backup('A', 2)] })).windows).toEqual([]);
  });

  it('have no end in time where the repository tells no times', () => {
    const [window] = recoveryWindows(snapshot({ backups: [backup('A', 2)], wal: segments(1, 9), withoutTimes: true })).windows;
    expect(window).toMatchObject({ to: undefined, toLsn: lsnIn(10) });
  });

  it('never end before they begin, although the last segment may have come before the noted stop', () => {
    const [window] = recoveryWindows(
      snapshot({ backups: [backup('A', 2)], wal: segments(2, 3).map((one) => ({ ...one, archivedAt: at(29) })) }),
    ).windows;
    expect(window).toMatchObject({ from: at(31), to: at(31) });
  });

  it('follow the newest timeline across a fork', () => {
    const second = history(2, `1\t0/500064\tno recovery target specified\n`);
    const { windows } = recoveryWindows(
      snapshot({ backups: [backup('A', 2)], wal: [...segments(1, 4), ...segments(5, 9, 2)], histories: [second] }),
    );
    expect(windows).toHaveLength(1);
    expect(windows[0]).toMatchObject({ timeline: 2, backups: ['A'], toLsn: lsnIn(10) });
  });

  it('show what only an abandoned timeline has, and what both have once', () => {
    const second = history(2, `1\t0/500064\tbefore 2026-11-22 12:00:50+00\n`);
    const { windows } = recoveryWindows(
      snapshot({ backups: [backup('A', 2), backup('B', 6)], wal: [...segments(1, 8), ...segments(5, 9, 2)], histories: [second] }),
    );
    expect(windows.map(({ timeline, backups, toLsn }) => ({ timeline, backups, toLsn }))).toEqual([
      { timeline: 2, backups: ['A'], toLsn: lsnIn(10) },
      { timeline: 1, backups: ['A', 'B'], toLsn: lsnIn(9) },
    ]);
  });

  it('ignore stray WAL of a timeline that nothing leads to', () => {
    const { windows } = recoveryWindows(snapshot({ backups: [backup('A', 2)], wal: [...segments(1, 8), ...segments(3, 9, 15)] }));
    expect(windows).toHaveLength(1);
    expect(windows[0]).toMatchObject({ timeline: 1, toLsn: lsnIn(9) });
  });

  it('hold only WAL that is there, each backup once, and the earlier ends before the later begins', () => {
    const world = fc.record({
      present: fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { maxLength: 31 }),
      starts: fc.uniqueArray(fc.integer({ min: 0, max: 28 }), { maxLength: 8 }),
    });
    fc.assert(
      fc.property(world, ({ present, starts }) => {
        const backups = starts.toSorted((left, right) => left - right).map((start) => backup(`at ${start}`, start));
        const { windows, gaps } = recoveryWindows(snapshot({ backups, wal: present.flatMap((one) => segments(one, one)) }));
        const held = new Set(present);
        const restorable = starts.filter((start) => held.has(start) && held.has(start + 1)).map((start) => `at ${start}`);
        expect(windows.flatMap((window) => window.backups).toSorted()).toEqual(restorable.toSorted());
        for (const window of windows) {
          for (let lsn = window.fromLsn; lsn < window.toLsn; lsn = (lsn + 1_048_576n) as typeof lsn)
            expect(held.has(Number(lsn / 1_048_576n))).toBe(true);
          expect(held.has(Number(window.toLsn / 1_048_576n))).toBe(false);
        }
        for (const [index, window] of windows.slice(1).entries()) expect(windows[index]?.toLsn ?? 0n).toBeLessThan(window.fromLsn);
        expect(gaps).toHaveLength(windows.filter((window) => window.closedByGap).length);
      }),
      { numRuns: 500 },
    );
  });
});
