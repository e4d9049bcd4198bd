import { describe, expect, it } from 'vitest';
import type { RunTrigger } from '../../../src/domain/schedule/trigger.ts';
import { learnReplayRate } from '../../../src/domain/recovery/estimate.ts';
import { instantOfSeconds } from '../../../src/domain/time/instant.ts';
import type { JournalEntry, RunId, StoredRun } from '../../../src/ports/run-store.ts';
import { pastRunsOf } from '../../../src/workflows/schedule/past-runs.ts';
import { replaySamplesOf } from '../../../src/workflows/schedule/replay-samples.ts';

const RUN = '20261122T211628Z-backup-k3f9' as RunId;
const AT = instantOfSeconds(1_795_382_188);
const ENDED = instantOfSeconds(1_795_382_248);
const trigger: RunTrigger = { kind: 'schedule', name: 'daily-full', occurrence: AT };
const attempt: JournalEntry = { at: AT, kind: 'attempt', pid: 1, detail: null };

function stored(entries: readonly JournalEntry[], verb: StoredRun['header']['verb'] = 'backup'): StoredRun {
  const intent = { cluster: 'main', type: 'full', repositories: ['local'] };
  return {
    header: { runId: RUN, verb, cluster: 'main', startedAt: AT, host: 'db1', user: 'postgres', programVersion: '0.1.0', trigger, intent },
    entries,
  };
}

const finished = (outcome: 'succeeded' | 'failed' | 'cancelled', result: unknown = {}): JournalEntry => ({
  at: ENDED,
  kind: 'run-finished',
  outcome,
  result,
});

const stateOf = (...entries: JournalEntry[]) => pastRunsOf([stored(entries)], 'main', new Set())[0]?.state;

describe('a run in the journals', () => {
  it('is known by its kind, type, repositories and what began it', () => {
    expect(pastRunsOf([stored([attempt, attempt])], 'main', new Set())).toEqual([
      {
        runId: RUN,
        kind: 'backup',
        type: 'full',
        repositories: ['local'],
        trigger,
        startedAt: AT,
        attempts: 2,
        state: { kind: 'interrupted' },
      },
    ]);
  });

  it('into several repositories is done in those where its step has ended well', () => {
    const several = stored([
      attempt,
      { at: AT, kind: 'step-finished', step: 'take-backup:local', seconds: 1, result: {} },
      finished('failed'),
    ]);
    const { header, entries } = several;
    const run = { header: { ...header, intent: { cluster: 'main', type: 'full', repositories: ['local', 's3'] } }, entries };
    expect(pastRunsOf([run], 'main', new Set())).toMatchObject([
      { runId: RUN, repositories: ['local'], state: { kind: 'succeeded', endedAt: AT } },
      { runId: RUN, repositories: ['s3'], state: { kind: 'failed' } },
    ]);
    expect(pastRunsOf([run], 'main', new Set([RUN]))).toMatchObject([{ repositories: ['local', 's3'], state: { kind: 'running' } }]);
  });

  it('is not looked at where it is of another cluster, or nothing that a schedule does', () => {
    expect(pastRunsOf([stored([attempt])], 'other', new Set())).toEqual([]);
    expect(pastRunsOf([stored([attempt], 'restore')], 'main', new Set())).toEqual([]);
  });

  it('is running where its process is known to work on it, whatever its journal says', () => {
    expect(pastRunsOf([stored([attempt, finished('failed'), attempt])], 'main', new Set([RUN]))[0]?.state).toEqual({ kind: 'running' });
  });

  it.each<[string, JournalEntry[], unknown]>([
    ['has begun and says no more', [attempt], { kind: 'interrupted' }],
    ['never began its work', [], { kind: 'interrupted' }],
    ['has succeeded', [attempt, finished('succeeded')], { kind: 'succeeded', endedAt: ENDED }],
    ['was resumed after it failed', [attempt, finished('failed', { code: 'TIMED_OUT' }), attempt], { kind: 'interrupted' }],
    ['was stopped by somebody', [attempt, finished('cancelled', { code: 'CANCELLED' })], { kind: 'cancelled', endedAt: ENDED }],
    ['was asked to end with its machine', [attempt, finished('cancelled', { code: 'TERMINATED' })], { kind: 'interrupted' }],
    [
      'has failed',
      [attempt, finished('failed', { code: 'POSTGRES_UNAVAILABLE' })],
      { kind: 'failed', endedAt: ENDED, code: 'POSTGRES_UNAVAILABLE', retry: 'transient' },
    ],
    [
      'has a step that failed',
      [attempt, finished('failed', { failures: [{ step: 'take-backup:local', code: 'DISK_FULL', message: 'full' }] })],
      { kind: 'failed', endedAt: ENDED, code: 'DISK_FULL', retry: 'none' },
    ],
    [
      'could not read its repository',
      [attempt, finished('failed', { failures: [] })],
      { kind: 'failed', endedAt: ENDED, code: 'REPOSITORY_UNAVAILABLE', retry: 'alternative' },
    ],
    [
      'has failed with what this version does not know',
      [attempt, finished('failed', { code: 'NO_SUCH_CODE' })],
      { kind: 'failed', endedAt: ENDED, code: 'INTERNAL', retry: 'none' },
    ],
  ])('that %s is in that state', (_what, entries, state) => {
    expect(stateOf(...entries)).toEqual(state);
  });
});

describe('the rate of replay', () => {
  const MEBIBYTE = 1024 ** 2;
  const proven = (walSegments: number, seconds: number): JournalEntry => ({
    at: AT,
    kind: 'step-finished',
    step: 'prove-target',
    seconds,
    result: { walSegments },
  });

  it('is learned from what restores have replayed, all together', () => {
    // 64 segments of 16 MiB in 10 s and 192 in 70 s are 4096 MiB in 80 s.
    const samples = replaySamplesOf([stored([proven(64, 10)], 'restore'), stored([proven(192, 70)], 'restore')], 'main', 16 * MEBIBYTE);
    expect(learnReplayRate('local', samples)).toEqual({ bytesPerSecond: 51.2 * MEBIBYTE, samples: 2 });
  });

  it('is assumed where no restore of this cluster replayed enough to tell', () => {
    const samples = replaySamplesOf([stored([proven(3, 2), proven(64, 0.1)], 'restore')], 'main', 16 * MEBIBYTE);
    for (const kind of ['local', 's3'] as const)
      expect(learnReplayRate(kind, samples)).toEqual({ ...learnReplayRate(kind, []), samples: 0 });
    expect(replaySamplesOf([stored([proven(64, 10)], 'restore')], 'other', 16 * MEBIBYTE)).toEqual([]);
  });
});
