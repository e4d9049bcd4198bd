import { describe, expect, it } from 'vitest';
import { type Instant, instantOfSeconds } from '../../../src/domain/time/instant.ts';
import type { JournalEntry, StoredRun } from '../../../src/ports/run-store.ts';
import { BROUGHT_BACK, mayHavePromoted, writeOutageSeconds } from '../../../src/workflows/change-primary/journal.ts';

const at = (second: number): Instant => instantOfSeconds(1_795_608_000 + second);
const started = (second: number, step: string): JournalEntry => ({ at: at(second), kind: 'step-started', step, detail: {} });
const finished = (second: number, step: string): JournalEntry => ({ at: at(second), kind: 'step-finished', step, seconds: 1, result: {} });
const failed = (second: number, step: string, code: string): JournalEntry => ({
  at: at(second),
  kind: 'step-failed',
  step,
  code,
  message: '',
});
const back = (second: number): JournalEntry => ({ at: at(second), kind: 'note', message: BROUGHT_BACK, detail: {} });

function run(entries: readonly JournalEntry[], verb: 'switchover' | 'failover' = 'switchover'): StoredRun {
  return { header: { verb, startedAt: at(0) } as StoredRun['header'], entries };
}

describe('how long nobody could write', () => {
  it('is from when the first client waited until the last went on', () => {
    const entries = [
      started(1, 'checkpoint'),
      started(10, 'pause-pgbouncer one'),
      started(11, 'pause-pgbouncer two'),
      started(12, 'stop-primary a'),
      finished(14, 'promote-standby'),
      finished(15, 'resume-pgbouncer one'),
      finished(17, 'resume-pgbouncer two'),
      finished(60, 'start-standby a'),
    ];
    expect(writeOutageSeconds(run(entries))).toBe(7);
  });

  it('is from the stop to the promotion where nothing stands in front of the servers', () => {
    expect(writeOutageSeconds(run([started(3, 'stop-primary a'), finished(5, 'promote-standby')]))).toBe(2);
  });

  it('counts the attempt that came through, not one after which the old primary served again', () => {
    const entries = [started(1, 'stop-primary a'), back(4), started(100, 'stop-primary a'), finished(102, 'promote-standby')];
    expect(writeOutageSeconds(run(entries))).toBe(2);
  });

  it('is not told while clients still wait', () => {
    expect(writeOutageSeconds(run([started(1, 'pause-pgbouncer one'), finished(5, 'promote-standby')]))).toBeUndefined();
  });

  it('is from the beginning of a failover: nobody could write before it', () => {
    expect(writeOutageSeconds(run([started(3, 'stop-primary a'), finished(5, 'promote-standby')], 'failover'))).toBe(5);
  });
});

describe('whether anything leads back', () => {
  it('is so until the promotion is begun, and where it was refused before the server was asked', () => {
    expect(mayHavePromoted(run([started(1, 'stop-primary a'), finished(2, 'stop-primary a')]))).toBe(false);
    const refused = [started(1, 'promote-standby'), failed(2, 'promote-standby', 'REFUSED_SERVER_RUNNING')];
    expect(mayHavePromoted(run(refused))).toBe(false);
  });

  it('is not so where it was begun: it may have been asked for, whatever was heard of it', () => {
    expect(mayHavePromoted(run([started(1, 'promote-standby')]))).toBe(true);
    expect(mayHavePromoted(run([started(1, 'promote-standby'), failed(2, 'promote-standby', 'TIMED_OUT')]))).toBe(true);
    const twice = [started(1, 'promote-standby'), failed(2, 'promote-standby', 'PLAN_STALE'), started(3, 'promote-standby')];
    expect(mayHavePromoted(run(twice))).toBe(true);
    const first = [started(1, 'promote-standby'), started(3, 'promote-standby'), failed(4, 'promote-standby', 'PLAN_STALE')];
    expect(mayHavePromoted(run(first))).toBe(true);
  });
});
