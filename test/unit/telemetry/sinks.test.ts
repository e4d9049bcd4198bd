import { describe, expect, it } from 'vitest';
import { SpokeError } from '../../../src/errors.ts';
import type { Progress } from '../../../src/ports/operation.ts';
import { fanOut, type RunEvent } from '../../../src/telemetry/events.ts';
import { logLineOf } from '../../../src/telemetry/log.ts';
import { describeProgress, progressSink } from '../../../src/telemetry/progress.ts';
import { RUN_ID as runId, step } from '../engine/machinery.ts';

const COPY = step('copy-backup', { title: 'Copy the backup' });
const STARTED: RunEvent = { kind: 'step-started', runId, step: COPY, index: 1, count: 3 };
const FINISHED: RunEvent = { kind: 'step-finished', runId, step: COPY, seconds: 12 };
const progress = (percent: number): RunEvent => ({ kind: 'step-progress', runId, step: COPY, progress: { phase: 'copy', percent } });

const EVERY_EVENT: readonly RunEvent[] = [
  { kind: 'run-started', runId, title: 'restore', resumed: false },
  { kind: 'plan-made', runId, steps: [COPY], warnings: [] },
  STARTED,
  progress(34),
  { kind: 'step-retried', runId, step: COPY, attempt: 1, delayMs: 512.3, message: 'no answer' },
  FINISHED,
  { kind: 'step-failed', runId, step: COPY, code: 'DISK_FULL', message: 'no space left' },
  { kind: 'note', runId, level: 'warning', message: 'trying another backup' },
  { kind: 'run-finished', runId, outcome: 'failed' },
];

/** A place to print to, with a clock that a test sets. */
function screen(live: boolean, columns = 40) {
  const screen = { text: '', atMs: 0, live, columns, write: (text: string) => void (screen.text += text), nowMs: () => screen.atMs };
  return screen;
}

describe('several sinks', () => {
  it('all get every event, in their order', () => {
    const seen: string[] = [];
    const sink = fanOut([(event) => seen.push(`first ${event.kind}`), (event) => seen.push(`second ${event.kind}`)], () => undefined);
    sink(STARTED);
    sink(FINISHED);
    expect(seen).toEqual(['first step-started', 'second step-started', 'first step-finished', 'second step-finished']);
  });

  it('go on where one of them is broken, and the run hears nothing of it', () => {
    const seen: string[] = [];
    const faults: unknown[] = [];
    const broken = () => {
      throw new SpokeError('DISK_FULL', 'no space left');
    };
    const sink = fanOut([broken, (event) => seen.push(event.kind)], (fault) => faults.push(fault));
    for (const event of EVERY_EVENT) sink(event);
    expect(seen).toHaveLength(EVERY_EVENT.length);
    expect(faults).toHaveLength(EVERY_EVENT.length);
  });
});

describe('progress in a file or a pipe', () => {
  it('is one line when a step begins and one when it ends', () => {
    const page = screen(false);
    const sink = progressSink(page);
    sink(STARTED);
    sink(FINISHED);
    expect(page.text).toBe('… [2/3] Copy the backup\n✔ Copy the backup (12 s)\n');
  });

  it('is at most one more line every ten seconds', () => {
    const page = screen(false);
    const sink = progressSink(page);
    sink(STARTED);
    for (let second = 1; second <= 35; second += 1) {
      page.atMs = second * 1000;
      sink(progress(second));
    }
    expect(page.text.split('\n').filter((line) => line.includes('%'))).toEqual([
      '… Copy the backup: copy 10 %',
      '… Copy the backup: copy 20 %',
      '… Copy the backup: copy 30 %',
    ]);
  });

  it('has no control characters', () => {
    const page = screen(false);
    const sink = progressSink(page);
    for (const event of EVERY_EVENT) sink(event);
    expect(page.text).not.toMatch(/[\r\u001b]/);
    expect(page.text.endsWith('\n')).toBe(true);
  });
});

describe('progress on a terminal', () => {
  it('is drawn over in one line that fits, and kept when the step ends', () => {
    const page = screen(true, 30);
    const sink = progressSink(page);
    sink(STARTED);
    sink(progress(50));
    sink(progress(51));
    expect(page.text).not.toContain('\n');
    for (const drawn of page.text.split('\r\u001b[K')) expect(drawn.length).toBeLessThan(30);
    sink(FINISHED);
    expect(page.text.endsWith('\r\u001b[K✔ Copy the backup (12 s)\n')).toBe(true);
  });

  it('stands in a terminal that claims to have no columns', () => {
    const page = screen(true, 0);
    progressSink(page)(progress(50));
    expect(page.text).toContain('… Copy');
  });
});

describe('a progress in words', () => {
  it.each<[string, Progress]>([
    ['copy', { phase: 'copy' }],
    ['copy 34 %', { phase: 'copy', percent: 34.4 }],
    ['copy 1.2 GiB of 3.3 GiB', { phase: 'copy', doneBytes: 1_288_490_189n, totalBytes: 3_543_348_020n }],
    ['copy 512 B', { phase: 'copy', doneBytes: 512n }],
    ['replay 0/3000060', { phase: 'replay', position: '0/3000060' }],
  ])('is "%s"', (words, given) => {
    expect(describeProgress(given)).toBe(words);
  });
});

describe('a line of the log', () => {
  it.each(EVERY_EVENT.map((event) => [event.kind, event] as const))('of %s can be read by a machine', (_kind, event) => {
    const { level, message, detail } = logLineOf(event);
    expect(['debug', 'info', 'warn', 'error']).toContain(level);
    expect(message).not.toBe('');
    expect(() => JSON.stringify(detail)).not.toThrow();
  });

  it('of a failure has its code and its step, and is an error', () => {
    expect(logLineOf({ kind: 'step-failed', runId, step: COPY, code: 'DISK_FULL', message: 'no space left' })).toEqual({
      level: 'error',
      message: 'no space left',
      detail: { step: 'copy-backup', code: 'DISK_FULL' },
    });
  });

  it('of a step has its time in whole milliseconds', () => {
    expect(logLineOf({ ...FINISHED, seconds: 0.12345 })).toMatchObject({ detail: { duration_ms: 123 } });
    expect(logLineOf({ kind: 'step-retried', runId, step: COPY, attempt: 2, delayMs: 512.3, message: 'x' })).toMatchObject({
      level: 'warn',
      detail: { attempt: 2, delay_ms: 512 },
    });
  });

  it('of progress is for those who look closely', () => {
    expect(logLineOf(progress(1)).level).toBe('debug');
    const warned = logLineOf({ kind: 'plan-made', runId, steps: [COPY], warnings: ['nothing expires'] });
    expect([warned.level, warned.message]).toEqual(['warn', 'plan made, and nothing expires']);
  });

  it('of the end tells success from anything else', () => {
    const level = (outcome: 'succeeded' | 'failed' | 'cancelled') => logLineOf({ kind: 'run-finished', runId, outcome }).level;
    expect([level('succeeded'), level('failed'), level('cancelled')]).toEqual(['info', 'error', 'error']);
  });
});
