import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runPlan } from '../../../src/engine/run-plan.ts';
import { ERROR_KINDS, type ErrorCode, SpokeError } from '../../../src/errors.ts';
import type { Plan } from '../../../src/plan/step.ts';
import { header, Machinery, planOf, RUN_ID, step, type TestStep } from './machinery.ts';

async function run(machinery: Machinery, plan: Plan) {
  const { ports, context } = machinery;
  await ports.runWriter.create(header());
  return runPlan(plan, { ...context, runId: RUN_ID, journal: ports.runWriter, clock: ports.clock });
}

/** Fails the first `times` times, then succeeds. */
function failing(code: ErrorCode, times: number) {
  let calls = 0;
  const machinery = new Machinery(() => {
    calls += 1;
    return calls <= times ? Promise.reject(new SpokeError(code, 'not now')) : Promise.resolve({ calls });
  });
  return { machinery, calls: () => calls };
}

const CODES = Object.keys(ERROR_KINDS) as ErrorCode[];

describe('running a plan', () => {
  it('runs the steps in their order, each journalled before it starts and after it ended', async () => {
    const seen: string[] = [];
    const machinery: Machinery = new Machinery(async ({ id }) => {
      seen.push(`${id} after ${(await machinery.journal()).at(-1)}`);
      return { id };
    });
    const { results } = await run(machinery, planOf(step('one'), step('two')));
    expect(seen).toEqual(['one after step-started one', 'two after step-started two']);
    expect(await machinery.journal()).toEqual(['step-started one', 'step-finished one', 'step-started two', 'step-finished two']);
    expect([...results]).toEqual([
      ['one', { id: 'one' }],
      ['two', { id: 'two' }],
    ]);
  });

  it('tells what it does in events, and how far a step is', async () => {
    const machinery = new Machinery((_step, context) => {
      context.onProgress?.({ phase: 'copy', percent: 50 });
      return Promise.resolve({});
    });
    await run(machinery, planOf(step('one')));
    expect(machinery.kinds()).toEqual(['plan-made', 'step-started', 'step-progress', 'step-finished']);
  });

  it('gives a step its time limit and the signal of the run', async () => {
    const machinery: Machinery = new Machinery((_step, context) => {
      expect(context.timeoutMs).toBe(1_000);
      expect(context.signal).toBe(machinery.controller.signal);
      return Promise.resolve({});
    });
    await run(machinery, planOf(step('one')));
  });

  it('notes how long a step took and what came of it', async () => {
    const machinery: Machinery = new Machinery(async () => {
      await machinery.ports.clock.sleep(1_500, machinery.controller.signal);
      return { port: 5433 };
    });
    await run(machinery, planOf(step('one')));
    expect((await machinery.entries()).at(-1)).toMatchObject({ kind: 'step-finished', seconds: 1.5, result: { port: 5433 } });
  });
});

describe('a step that fails', () => {
  it('ends the plan with its error', async () => {
    const { machinery, calls } = failing('POSTGRES_FAILED', 1);
    await expect(run(machinery, planOf(step('one'), step('two')))).rejects.toMatchObject({ code: 'POSTGRES_FAILED', message: 'not now' });
    expect(calls()).toBe(1);
    expect(await machinery.journal()).toEqual(['step-started one', 'step-failed one']);
  });

  it('does not end it where the rest does not depend on it, and is told of at the end', async () => {
    const { machinery } = failing('POSTGRES_FAILED', 1);
    const { failures, results } = await run(machinery, planOf(step('one', { onFailure: 'continue' }), step('two')));
    expect(failures.map(({ step: { id }, error }) => [id, error.code])).toEqual([['one', 'POSTGRES_FAILED']]);
    expect([...results.keys()]).toEqual(['two']);
  });

  it('with something that was not thrown on purpose is a bug, and keeps its cause', async () => {
    const cause = new TypeError('x is not a function');
    const machinery = new Machinery(() => Promise.reject(cause));
    await expect(run(machinery, planOf(step('one')))).rejects.toMatchObject({ code: 'INTERNAL', cause });
  });

  it('is journalled, but not with its details', async () => {
    const machinery = new Machinery(() =>
      Promise.reject(new SpokeError('TOOL_FAILED', 'why', { details: { url: 'postgresql://u:secret@h' } })),
    );
    await expect(run(machinery, planOf(step('one')))).rejects.toThrow('why');
    expect((await machinery.entries()).at(-1)).toMatchObject({ kind: 'step-failed', code: 'TOOL_FAILED', message: 'why' });
    expect((await machinery.entries()).flatMap((entry) => Object.values(entry)).join()).not.toContain('secret');
  });

  it('is told as what it is also where the journal cannot be written', async () => {
    const { machinery } = failing('POSTGRES_FAILED', 1);
    const { append } = machinery.ports.runWriter;
    const full = new SpokeError('DISK_FULL', 'no space left');
    machinery.ports.runWriter.append = (runId, entry) => (entry.kind === 'step-failed' ? Promise.reject(full) : append(runId, entry));
    await expect(run(machinery, planOf(step('one')))).rejects.toMatchObject({ code: 'POSTGRES_FAILED' });
    expect(machinery.events).toContainEqual(expect.objectContaining({ kind: 'note', message: expect.stringContaining('no space left') }));
  });
});

describe('trying again', () => {
  const transient = (id: string): TestStep => step(id, { retry: 'transient' });

  it('waits longer each time, and goes on where it succeeds', async () => {
    const { machinery, calls } = failing('POSTGRES_UNAVAILABLE', 3);
    await run(machinery, planOf(transient('one')));
    expect(calls()).toBe(4);
    const delays = machinery.events.flatMap((event) => (event.kind === 'step-retried' ? [event.delayMs] : []));
    const expected = [500, 1000, 2000];
    expect(delays).toHaveLength(expected.length);
    for (const [index, delay] of delays.entries()) {
      expect(delay).toBeGreaterThanOrEqual((expected[index] ?? 0) * 0.75);
      expect(delay).toBeLessThanOrEqual((expected[index] ?? 0) * 1.25);
    }
  });

  it('ends after four times', async () => {
    const { machinery, calls } = failing('TIMED_OUT', 99);
    await expect(run(machinery, planOf(transient('one')))).rejects.toMatchObject({ code: 'TIMED_OUT' });
    expect(calls()).toBe(4);
  });

  it('happens for errors that pass, in steps that may be repeated, and for no other', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...CODES), fc.boolean(), async (code, mayRepeat) => {
        const { machinery, calls } = failing(code, 1);
        const ended = run(machinery, planOf(mayRepeat ? transient('one') : step('one')));
        const repeats = mayRepeat && ERROR_KINDS[code].retry === 'transient';
        if (repeats) await ended;
        else await expect(ended).rejects.toMatchObject({ code });
        expect(calls()).toBe(repeats ? 2 : 1);
      }),
    );
  });

  it('is one step in the journal', async () => {
    const { machinery } = failing('TIMED_OUT', 2);
    await run(machinery, planOf(transient('one')));
    expect(await machinery.journal()).toEqual(['step-started one', 'step-finished one']);
  });
});

describe('a cancellation', () => {
  const cancelled = new SpokeError('TERMINATED', 'asked to end');

  it('ends the plan before the next step', async () => {
    const machinery: Machinery = new Machinery(() => {
      machinery.controller.abort(cancelled);
      return Promise.resolve({});
    });
    await expect(run(machinery, planOf(step('one'), step('two')))).rejects.toBe(cancelled);
    expect(await machinery.journal()).toEqual(['step-started one', 'step-finished one']);
  });

  it('starts nothing where it came before', async () => {
    const machinery = new Machinery();
    machinery.controller.abort(cancelled);
    await expect(run(machinery, planOf(step('one')))).rejects.toBe(cancelled);
    expect(await machinery.journal()).toEqual([]);
  });

  it('is told as one, whatever the step made of it, also in a step that may fail', async () => {
    const machinery: Machinery = new Machinery(() => {
      machinery.controller.abort(cancelled);
      return Promise.reject(new SpokeError('TOOL_FAILED', 'killed by a signal'));
    });
    await expect(run(machinery, planOf(step('one', { onFailure: 'continue' }), step('two')))).rejects.toBe(cancelled);
    expect((await machinery.entries()).at(-1)).toMatchObject({ kind: 'step-failed', code: 'TOOL_FAILED' });
  });

  it('ends the waiting between two tries', async () => {
    const { machinery, calls } = failing('TIMED_OUT', 99);
    const { sleep } = machinery.ports.clock;
    machinery.ports.clock.sleep = (ms, signal) => {
      machinery.controller.abort(cancelled);
      return sleep(ms, signal);
    };
    await expect(run(machinery, planOf(step('one', { retry: 'transient' })))).rejects.toBe(cancelled);
    expect(calls()).toBe(1);
  });
});
