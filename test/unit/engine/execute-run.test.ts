import { describe, expect, it } from 'vitest';
import { executeRun } from '../../../src/engine/execute-run.ts';
import { asSpokeError, SpokeError } from '../../../src/errors.ts';
import type { JournalEntry } from '../../../src/ports/run-store.ts';
import { header, Machinery, planOf, RUN_ID, step, workflowOf } from './machinery.ts';

const NEVER = () => Promise.reject(new SpokeError('BACKUP_DAMAGED', 'a wrong checksum'));

describe('a run', () => {
  it('is created before anything else, and its journal says how it ended', async () => {
    const machinery = new Machinery();
    await executeRun(workflowOf(planOf(step('one'))), header({ goal: 1 }), machinery.context);
    expect((await machinery.ports.runs.read(RUN_ID)).header.intent).toEqual({ goal: 1 });
    expect(await machinery.journal()).toEqual(['attempt', 'step-started one', 'step-finished one', 'run-finished']);
    expect((await machinery.entries()).at(-1)).toMatchObject({ outcome: 'succeeded', result: { failures: [] } });
    expect(machinery.kinds().at(0)).toBe('run-started');
    expect(machinery.kinds().at(-1)).toBe('run-finished');
  });

  it('that exists already is resumed: its journal goes on', async () => {
    const machinery = new Machinery();
    const workflow = workflowOf(planOf());
    await executeRun(workflow, header(), machinery.context);
    await executeRun(workflow, header(), machinery.context);
    const attempts = (await machinery.entries()).filter((entry) => entry.kind === 'attempt');
    expect(attempts.map(({ pid, detail }) => [pid, detail])).toEqual([
      [4711, { resumed: false }],
      [4711, { resumed: true }],
    ]);
  });

  it('observes with its journal, and plans of what was observed', async () => {
    const machinery = new Machinery();
    const seen: unknown[] = [];
    const workflow = workflowOf(planOf(), {
      observe: (intent, run) => Promise.resolve({ intent, entries: run.entries.length }),
      plan: (intent, facts, runId) => {
        seen.push(intent, facts, runId);
        return planOf();
      },
    });
    await executeRun(workflow, header('what for'), machinery.context);
    expect(seen).toEqual(['what for', { intent: 'what for', entries: 1 }, RUN_ID]);
  });

  it('is called what its workflow says where some of it failed', async () => {
    const machinery = new Machinery(NEVER);
    const plan = planOf(step('one', { onFailure: 'continue' }));
    const workflow = workflowOf(plan, { outcomeOf: (_facts, { failures }) => (failures.length > 0 ? 'failed' : 'succeeded') });
    await executeRun(workflow, header(), machinery.context);
    expect((await machinery.entries()).at(-1)).toMatchObject({
      outcome: 'failed',
      result: { failures: [{ step: 'one', code: 'BACKUP_DAMAGED', message: 'a wrong checksum' }] },
    });
  });

  it('that fails throws the error of the step, and the journal has it', async () => {
    const machinery = new Machinery(NEVER);
    await expect(executeRun(workflowOf(planOf(step('one'))), header(), machinery.context)).rejects.toMatchObject({
      code: 'BACKUP_DAMAGED',
    });
    expect((await machinery.entries()).at(-1)).toMatchObject({
      kind: 'run-finished',
      outcome: 'failed',
      result: { code: 'BACKUP_DAMAGED' },
    });
  });

  it.each([
    ['REPOSITORY_UNAVAILABLE', `Check endpoint, network and certificate, or use another --repo; then: spoke-backup runs resume ${RUN_ID}`],
    ['POSTGRES_FAILED', `Read the server log named above; then: spoke-backup runs resume ${RUN_ID}`],
    ['DISK_FULL', `Free space, then: spoke-backup runs resume ${RUN_ID}`],
    ['BACKUP_DAMAGED', 'Restore from another repository (--repo) or an older backup (--set).'],
    ['PLAN_STALE', 'The world changed while the plan was shown. Run the command again.'],
  ] as const)('that fails of %s says how to go on where that is of use', async (code, hint) => {
    const machinery = new Machinery(() => Promise.reject(new SpokeError(code, 'so it is')));
    const running = executeRun(workflowOf(planOf(step('one'))), header(), machinery.context);
    await expect(running).rejects.toMatchObject({ code, hint, details: { run: RUN_ID } });
  });

  it.each(['CANCELLED', 'TERMINATED'] as const)('that was %s is called cancelled', async (code) => {
    const machinery = new Machinery();
    machinery.controller.abort(new SpokeError(code, 'enough'));
    await expect(executeRun(workflowOf(planOf(step('one'))), header(), machinery.context)).rejects.toMatchObject({ code });
    expect((await machinery.entries()).at(-1)).toMatchObject({ outcome: 'cancelled' });
  });

  it('that cannot be planned fails with the reason', async () => {
    const machinery = new Machinery();
    const workflow = workflowOf(planOf(), {
      plan: () => {
        throw new SpokeError('REFUSED_PRECONDITION', 'not like this');
      },
    });
    await expect(executeRun(workflow, header(), machinery.context)).rejects.toMatchObject({ code: 'REFUSED_PRECONDITION' });
    expect((await machinery.entries()).at(-1)).toMatchObject({ outcome: 'failed' });
  });
});

describe('another way', () => {
  it('is taken as long as the workflow knows one, and noted before it is', async () => {
    let tries = 0;
    const machinery = new Machinery(() => {
      tries += 1;
      return tries < 3 ? NEVER() : Promise.resolve({});
    });
    const notesOf = (entries: readonly JournalEntry[]) => entries.filter((entry) => entry.kind === 'note');
    const workflow = workflowOf(planOf(), {
      observe: (_intent, run) => Promise.resolve(notesOf(run.entries).length),
      plan: (_intent, notes) => planOf(step(`candidate ${String(notes)}`)),
      otherWay: (_intent, notes) => [{ message: 'given up', detail: notes }],
    });
    await executeRun(workflow, header(), machinery.context);
    expect((await machinery.journal()).filter((line) => !line.startsWith('step-started'))).toEqual([
      'attempt',
      'step-failed candidate 0',
      'note',
      'step-failed candidate 1',
      'note',
      'step-finished candidate 2',
      'run-finished',
    ]);
    expect(machinery.events.filter((event) => event.kind === 'note')).toHaveLength(2);
  });

  it('is not looked for once the run was cancelled', async () => {
    const machinery: Machinery = new Machinery(() => {
      machinery.controller.abort(new SpokeError('CANCELLED', 'enough'));
      return NEVER();
    });
    const workflow = workflowOf(planOf(step('one')), {
      otherWay: () => {
        throw new Error('it was looked for');
      },
    });
    await expect(executeRun(workflow, header(), machinery.context)).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('cleaning up', () => {
  it('happens after the last failure, with the error, on a signal that was not cancelled', async () => {
    const machinery = new Machinery();
    machinery.controller.abort(new SpokeError('CANCELLED', 'enough'));
    const seen: unknown[] = [];
    const workflow = workflowOf(planOf(step('one')), {
      cleanUp: (_intent, error, context) => {
        seen.push(error.code, context.signal.aborted);
        return Promise.resolve();
      },
    });
    await expect(executeRun(workflow, header(), machinery.context)).rejects.toThrow('enough');
    expect(seen).toEqual(['CANCELLED', false]);
  });

  it('that fails does not hide why it was needed', async () => {
    const machinery = new Machinery(NEVER);
    const workflow = workflowOf(planOf(step('one')), { cleanUp: () => Promise.reject(new Error('the disk is gone')) });
    await expect(executeRun(workflow, header(), machinery.context)).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' });
    expect(machinery.events).toContainEqual(expect.objectContaining({ kind: 'note', message: 'cleaning up failed: the disk is gone' }));
  });

  it('does not happen after a success', async () => {
    const machinery = new Machinery();
    const workflow = workflowOf(planOf(), { cleanUp: () => Promise.reject(new Error('it happened')) });
    await executeRun(workflow, header(), machinery.context);
    expect(machinery.kinds()).not.toContain('note');
  });

  it('leaves the error as it was where the journal cannot be written any more', async () => {
    const machinery = new Machinery(NEVER);
    const { append } = machinery.ports.runWriter;
    machinery.ports.runWriter.append = (runId, entry) =>
      entry.kind === 'run-finished' ? Promise.reject(new SpokeError('DISK_FULL', 'no space left')) : append(runId, entry);
    await expect(executeRun(workflowOf(planOf(step('one'))), header(), machinery.context)).rejects.toMatchObject({
      code: 'BACKUP_DAMAGED',
    });
  });
});

describe('the locks of a run', () => {
  const keys = { lockKeys: () => ['directory:/data', 'cluster:main'] };
  const held = ({ cluster }: Machinery) => [...cluster.world.locks.keys()];

  it('are held while it runs and given back at its end, however that is', async () => {
    for (const run of [() => Promise.resolve({}), NEVER]) {
      const during: string[][] = [];
      const machinery: Machinery = new Machinery(() => {
        during.push(held(machinery));
        return run();
      });
      await executeRun(workflowOf(planOf(step('one')), keys), header(), machinery.context).catch(asSpokeError);
      expect(during).toEqual([['directory:/data', 'cluster:main']]);
      expect(held(machinery)).toEqual([]);
    }
  });

  it('are all given back where one of them is taken, and nothing was begun', async () => {
    const machinery = new Machinery();
    const since = machinery.ports.clock.now();
    const other = await machinery.ports.lock.acquire('cluster:main', { runId: RUN_ID, pid: 1, host: 'db1', since });
    await expect(executeRun(workflowOf(planOf(), keys), header(), machinery.context)).rejects.toMatchObject({
      code: 'LOCKED',
      exitCode: 11,
    });
    expect(held(machinery)).toEqual(['cluster:main']);
    expect(machinery.cluster.world.runs.size).toBe(0);
    await other.release();
  });

  it('that cannot be given back do not make a failure of a success', async () => {
    const machinery = new Machinery();
    const { acquire } = machinery.ports.lock;
    machinery.ports.lock.acquire = async (key, holder) => {
      await acquire(key, holder);
      return { release: () => Promise.reject(new Error('the disk is gone')) };
    };
    await executeRun(workflowOf(planOf(), keys), header(), machinery.context);
    expect(machinery.events).toContainEqual(expect.objectContaining({ message: 'a lock was not released: the disk is gone' }));
  });
});
