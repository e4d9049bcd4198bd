import { describe, expect, it } from 'vitest';
import { cancelRun } from '../../../src/engine/cancel-run.ts';
import { executeRun, type Workflow } from '../../../src/engine/execute-run.ts';
import { asSpokeError, SpokeError } from '../../../src/errors.ts';
import type { RunProcess, RunProcesses } from '../../../src/ports/run-store.ts';
import { abortWhenAsked } from '../../../src/engine/watch-cancel.ts';
import { endOf, isResumable } from '../../../src/workflows/runs/judge.ts';
import { FakeProcess } from '../../fakes/process.ts';
import { fakeLeases } from '../../fakes/state.ts';
import { header, Machinery, planOf, RUN_ID, step, workflowOf } from './machinery.ts';

const FAILS = () => Promise.reject(new SpokeError('TOOL_FAILED', 'no'));

/** A run that failed at its first step. */
async function failed(): Promise<Machinery> {
  const machinery = new Machinery(FAILS);
  await executeRun(workflowOf(planOf(step('one'))), header(), machinery.context).catch(() => undefined);
  return machinery;
}

async function cancel(machinery: Machinery, changes: Partial<Workflow<unknown, unknown>> = {}, runProcesses?: RunProcesses) {
  const ports = { ...machinery.ports, ...(runProcesses === undefined ? {} : { runProcesses }) };
  return cancelRun(await ports.runs.read(RUN_ID), workflowOf(planOf(), changes), { ...machinery.context, ports });
}

async function codeOf(cancelling: Promise<unknown>): Promise<string> {
  return cancelling.then(
    () => 'nothing thrown',
    (thrown: unknown) => asSpokeError(thrown).code,
  );
}

/** A process that does what `end` says when it is asked to stop, and is gone then. */
function processThat(end: () => Promise<void>, changes: Partial<RunProcess> = {}) {
  const asked: string[] = [];
  let isThere = true;
  const stop = async () => {
    await end();
    isThere = false;
  };
  const processes: RunProcesses = {
    find: () => Promise.resolve(isThere ? { pid: 99, host: 'db1', place: 'here', isService: false, ...changes } : undefined),
    terminate: async () => {
      asked.push('SIGTERM');
      await stop();
      return true;
    },
  };
  return { processes, asked, stop };
}

describe('cancelling a run', () => {
  it('that nobody works on gives it up: it is cleared away and never resumed', async () => {
    const machinery = await failed();
    const cleared: unknown[] = [];
    const found = await cancel(machinery, { abandon: (intent) => Promise.resolve(void cleared.push(intent)) });
    expect(found).toEqual({ outcome: 'abandoned' });
    expect(cleared).toHaveLength(1);
    const run = await machinery.ports.runs.read(RUN_ID);
    expect(endOf(run)).toMatchObject({ outcome: 'cancelled', isFinal: true });
    expect(isResumable(run)).toBe(false);
  });

  it('holds also for one who queued to resume it meanwhile', async () => {
    const machinery = await failed();
    await cancel(machinery);
    const before = await machinery.ports.runs.read(RUN_ID);
    expect(await codeOf(executeRun(workflowOf(planOf(step('one'))), header(), machinery.context))).toBe('REFUSED_PRECONDITION');
    expect(await machinery.ports.runs.read(RUN_ID)).toEqual(before);
  });

  it('asks its process to stop, waits until it is gone, and gives the run up then', async () => {
    const machinery = await failed();
    const { processes, asked } = processThat(() => Promise.resolve());
    expect(await cancel(machinery, {}, processes)).toMatchObject({ stopped: { pid: 99 }, outcome: 'abandoned' });
    expect(asked).toEqual(['SIGTERM']);
    expect(await machinery.ports.runs.isCancelRequested(RUN_ID)).toBe(false);
  });

  it('says so where the run was through before its process stopped, and changes nothing about it', async () => {
    const machinery = await failed();
    const { processes } = processThat(() =>
      machinery.ports.runWriter.append(RUN_ID, { at: machinery.ports.clock.now(), kind: 'run-finished', outcome: 'succeeded', result: {} }),
    );
    expect(await cancel(machinery, {}, processes)).toMatchObject({ outcome: 'succeeded' });
    expect(endOf(await machinery.ports.runs.read(RUN_ID))?.outcome).toBe('succeeded');
  });

  it('sends no signal to a service, which would end its other runs too: it leaves a request that the service finds', async () => {
    const machinery = await failed();
    const { processes, asked, stop } = processThat(() => Promise.resolve(), { isService: true });
    const clock = {
      ...machinery.ports.clock,
      sleep: async () => {
        if (await machinery.ports.runs.isCancelRequested(RUN_ID)) await stop();
      },
    };
    const ports = { ...machinery.ports, clock, runProcesses: processes };
    await cancelRun(await ports.runs.read(RUN_ID), workflowOf(planOf()), { ...machinery.context, ports });
    expect(asked).toEqual([]);
    expect(await machinery.ports.runs.isCancelRequested(RUN_ID)).toBe(false);
  });

  it('gives up waiting for a process that does not stop, and leaves the run alone', async () => {
    const machinery = await failed();
    const processes: RunProcesses = {
      find: () => Promise.resolve({ pid: 99, host: 'db1', place: 'here', isService: false }),
      terminate: () => Promise.resolve(true),
    };
    expect(await codeOf(cancel(machinery, {}, processes))).toBe('TIMED_OUT');
    expect(endOf(await machinery.ports.runs.read(RUN_ID))?.outcome).toBe('failed');
  });

  it('is refused where its process is out of reach', async () => {
    const machinery = await failed();
    const { processes, asked } = processThat(() => Promise.resolve(), { place: 'elsewhere' });
    expect(await codeOf(cancel(machinery, {}, processes))).toBe('LOCKED');
    expect(asked).toEqual([]);
  });

  it('is refused before anything is stopped where the run may only be resumed', async () => {
    const machinery = await failed();
    const { processes, asked } = processThat(() => Promise.resolve());
    const reasonAgainstAbandoning = () => Promise.resolve(new SpokeError('REFUSED_PRECONDITION', 'half swapped'));
    expect(await codeOf(cancel(machinery, { reasonAgainstAbandoning }, processes))).toBe('REFUSED_PRECONDITION');
    expect(asked).toEqual([]);
    expect(isResumable(await machinery.ports.runs.read(RUN_ID))).toBe(true);
  });

  it('leaves a run resumable that began to swap while it was being stopped', async () => {
    const machinery = await failed();
    let looks = 0;
    const reasonAgainstAbandoning = () =>
      Promise.resolve(++looks === 1 ? undefined : new SpokeError('REFUSED_PRECONDITION', 'half swapped'));
    const { processes, asked } = processThat(() => Promise.resolve());
    expect(await codeOf(cancel(machinery, { reasonAgainstAbandoning }, processes))).toBe('REFUSED_PRECONDITION');
    expect(asked).toEqual(['SIGTERM']);
    expect(isResumable(await machinery.ports.runs.read(RUN_ID))).toBe(true);
  });

  it('is refused where somebody resumes it at this moment', async () => {
    const machinery = await failed();
    const other = new FakeProcess(machinery.cluster.world);
    const holder = { name: RUN_ID, pid: 1, host: 'db1', since: machinery.ports.clock.now() };
    const claim = { verb: 'drill', cluster: 'main', repositories: [], host: 'db1' } as const;
    expect(await fakeLeases(other).tryAcquire(claim, holder, machinery.context.signal)).toMatchObject({ kind: 'acquired' });
    const nobody: RunProcesses = { find: () => Promise.resolve(undefined), terminate: () => Promise.resolve(false) };
    expect(await codeOf(cancel(machinery, {}, nobody))).toBe('LOCKED');
  });

  it('is refused where it has ended already', async () => {
    const machinery = new Machinery();
    await executeRun(workflowOf(planOf(step('one'))), header(), machinery.context);
    expect(await codeOf(cancel(machinery))).toBe('REFUSED_PRECONDITION');
  });
});

describe('one who works on several runs', () => {
  async function watched(look: () => Promise<boolean>, looksUntilDone = 5) {
    const { ports } = await failed();
    const [run, done] = [new AbortController(), new AbortController()];
    let sleeps = 0;
    const sleep = () => {
      sleeps += 1;
      if (sleeps === looksUntilDone) done.abort();
      return Promise.resolve();
    };
    await abortWhenAsked({ runs: { ...ports.runs, isCancelRequested: look }, clock: { ...ports.clock, sleep } }, RUN_ID, run, done.signal);
    return { signal: run.signal, sleeps };
  }

  it('ends the one whose end is asked for', async () => {
    let looks = 0;
    const { signal, sleeps } = await watched(() => Promise.resolve(++looks === 3));
    expect([asSpokeError(signal.reason).code, sleeps]).toEqual(['CANCELLED', 2]);
  });

  it.each([
    ['is not', () => Promise.resolve(false)],
    ['cannot be told to be', () => Promise.reject(new SpokeError('FILE_SYSTEM_FAILED', 'EIO'))],
  ])('lets run to its end what %s asked to end', async (_what, look) => {
    expect((await watched(look)).signal.aborted).toBe(false);
  });
});
