import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StoredRun } from '../../../../src/ports/run-store.ts';
import { runsToForget } from '../../../../src/workflows/runs/forget.ts';
import { endOf, hasBegunSwap, isResumable, repositoriesOf } from '../../../../src/workflows/runs/judge.ts';
import { NOW, runOf, type RunSpec } from './history.ts';

const BOUNDS = { keepRuns: 2, keepDays: 30 };

function forgotten(specs: readonly RunSpec[], bounds = BOUNDS): readonly number[] {
  const runs = specs.map(runOf);
  const ids = runsToForget(runs, bounds, NOW);
  return runs.flatMap((run, index) => (ids.includes(run.header.runId) ? [index] : []));
}

describe('history', () => {
  it('forgets runs beyond the count of their kind, the oldest first', () => {
    expect(forgotten([{ daysAgo: 4 }, { daysAgo: 3 }, { daysAgo: 2 }, { daysAgo: 1 }])).toEqual([0, 1]);
  });

  it('forgets runs that are too old, however few there are', () => {
    expect(forgotten([{ daysAgo: 31 }, { daysAgo: 1 }])).toEqual([0]);
    expect(forgotten([{ daysAgo: 29 }, { daysAgo: 1 }])).toEqual([]);
  });

  it('counts the verbs and clusters apart: many backups push no restore out', () => {
    expect(forgotten([{ daysAgo: 9, verb: 'restore' }, { daysAgo: 8, cluster: 'other' }, { daysAgo: 2 }, { daysAgo: 1 }])).toEqual([]);
  });

  it('keeps the newest of each repository, whatever its age', () => {
    const specs = [{ daysAgo: 90, repositories: ['s3'] }, { daysAgo: 80 }, { daysAgo: 2 }, { daysAgo: 1 }];
    expect(forgotten(specs)).toEqual([1]);
  });

  it('keeps the newest that succeeded, whatever failed since', () => {
    const failures: RunSpec[] = [3, 2, 1].map((daysAgo) => ({ daysAgo, outcome: 'failed' }));
    expect(forgotten([{ daysAgo: 60 }, { daysAgo: 50 }, ...failures])).toEqual([0, 2]);
  });

  it('keeps a run that did not end, and one that may have renamed data directories', () => {
    const halfSwapped: RunSpec = { daysAgo: 90, verb: 'restore', outcome: 'failed', steps: ['swap-data-directory'] };
    const newer: RunSpec[] = [
      { daysAgo: 1, verb: 'restore', repositories: [] },
      { daysAgo: 1, verb: 'restore' },
    ];
    expect(forgotten([{ daysAgo: 90, outcome: 'running' }, halfSwapped, { daysAgo: 1 }, ...newer])).toEqual([]);
  });

  const spec: fc.Arbitrary<RunSpec> = fc.record({
    daysAgo: fc.integer({ min: 0, max: 100 }),
    verb: fc.constantFrom('backup' as const, 'restore' as const),
    cluster: fc.constantFrom('main', 'other'),
    repositories: fc.subarray(['local', 's3']),
    outcome: fc.constantFrom('succeeded' as const, 'failed' as const, 'cancelled' as const, 'running' as const),
  });
  const bounds = fc.record({ keepRuns: fc.integer({ min: 1, max: 10 }), keepDays: fc.integer({ min: 1, max: 90 }) });

  /** What schedules and status ask of the history. */
  function answers(runs: readonly StoredRun[]): unknown {
    const newestFirst = runs.toSorted((a, b) => (a.header.runId < b.header.runId ? 1 : -1));
    return ['main', 'other'].flatMap((cluster) =>
      ['backup', 'restore'].flatMap((verb) =>
        ['local', 's3'].map((repository) => {
          const ofKind = newestFirst.filter(({ header }) => header.cluster === cluster && header.verb === verb);
          const about = ofKind.filter((run) => repositoriesOf(run).includes(repository));
          const newest = (list: readonly StoredRun[]) => list[0]?.header.runId;
          return [newest(ofKind), newest(about), newest(about.filter((run) => endOf(run)?.outcome === 'succeeded'))];
        }),
      ),
    );
  }

  it('that is bounded answers as before, loses nothing that can go on unasked, and is not bounded further the next time', () => {
    fc.assert(
      fc.property(fc.array(spec, { maxLength: 60 }), bounds, (specs, limits) => {
        const runs = specs.map(runOf);
        const gone = new Set(runsToForget(runs, limits, NOW));
        const kept = runs.filter((run) => !gone.has(run.header.runId));
        expect(answers(kept)).toEqual(answers(runs));
        for (const run of runs) if (endOf(run) === undefined) expect(gone.has(run.header.runId)).toBe(false);
        expect(runsToForget(kept, limits, NOW)).toEqual([]);
        // Per cluster and verb no more than the count, the unfinished and the landmarks: 2 + 2 × 2 of them.
        for (const cluster of ['main', 'other'])
          for (const verb of ['backup', 'restore']) {
            const ended = kept.filter(
              ({ header, entries }) => header.cluster === cluster && header.verb === verb && endOf({ entries }) !== undefined,
            );
            expect(ended.length).toBeLessThanOrEqual(limits.keepRuns + 6);
          }
      }),
    );
  });
});

describe('a run', () => {
  it.each([
    [runOf({ daysAgo: 1, outcome: 'running' }), true],
    [runOf({ daysAgo: 1, outcome: 'failed' }), true],
    [runOf({ daysAgo: 1, outcome: 'cancelled' }), true],
    [runOf({ daysAgo: 1 }), false],
  ])('can be resumed unless it has succeeded (%#)', (run, expected) => {
    expect(isResumable(run)).toBe(expected);
  });

  it('that was given up cannot be resumed, and one that was tried again has not ended', () => {
    const run = runOf({ daysAgo: 1, outcome: 'running' });
    const end = { at: NOW, kind: 'run-finished', outcome: 'cancelled', result: { isFinal: true } } as const;
    const attempt = { at: NOW, kind: 'attempt', pid: 1, detail: {} } as const;
    expect(isResumable({ ...run, entries: [...run.entries, end] })).toBe(false);
    expect(endOf({ entries: [...run.entries, end, attempt] })).toBeUndefined();
  });

  it('has begun its swap until it has succeeded', () => {
    const steps = ['swap-data-directory'];
    expect(hasBegunSwap(runOf({ daysAgo: 1, verb: 'restore', outcome: 'failed', steps }))).toBe(true);
    expect(hasBegunSwap(runOf({ daysAgo: 1, verb: 'restore', steps }))).toBe(false);
    expect(hasBegunSwap(runOf({ daysAgo: 1, verb: 'restore', outcome: 'failed', steps: ['copy-backup'] }))).toBe(false);
  });
});
