import { describe, expect, it } from 'vitest';
import { S3LeaseStore } from '../../../src/adapters/s3/lease-store.ts';
import { executeRun } from '../../../src/engine/execute-run.ts';
import { asSpokeError, SpokeError } from '../../../src/errors.ts';
import type { Lease, LeaseStore } from '../../../src/ports/lease.ts';
import type { JournalEntry } from '../../../src/ports/run-store.ts';
import { MemoryRegister, TestClock } from '../../fakes/register.ts';
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

  it('goes on with what follows, planned by what was noted, until nothing does', async () => {
    const machinery = new Machinery();
    const workflow = workflowOf(planOf(), {
      observe: (_intent, run) => Promise.resolve(run.entries.filter(({ kind }) => kind === 'note').length),
      plan: (_intent, stage) => planOf(step(`of stage ${String(stage)}`)),
      whatFollows: (_intent, { entries }) => {
        const stages = entries.filter(({ kind }) => kind === 'note').length;
        return Promise.resolve(stages < 2 ? [{ message: 'stage', detail: stages + 1 }] : undefined);
      },
    });
    const { results } = await executeRun(workflow, header(), machinery.context);
    expect([...results.keys()]).toEqual(['of stage 0', 'of stage 1', 'of stage 2']);
    expect((await machinery.journal()).filter((line) => line === 'note' || line.startsWith('step-finished'))).toEqual([
      'step-finished of stage 0',
      'note',
      'step-finished of stage 1',
      'note',
      'step-finished of stage 2',
    ]);
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

describe('what a run claims', () => {
  const claim = () => ({ verb: 'restore-beside' as const, repositories: ['local'], dataDirectory: '/data' });
  const held = ({ cluster }: Machinery) => [...cluster.world.leases.values()].map((lease) => lease.claim);

  it('is held while it runs and given back at its end, however that is', async () => {
    for (const run of [() => Promise.resolve({}), NEVER]) {
      const during: unknown[] = [];
      const machinery: Machinery = new Machinery(() => {
        during.push(...held(machinery));
        return run();
      });
      await executeRun(workflowOf(planOf(step('one')), { claim }), header(), machinery.context).catch(asSpokeError);
      expect(during).toEqual([{ ...claim(), cluster: 'main', host: 'db1' }]);
      expect(held(machinery)).toEqual([]);
    }
  });

  it('is an error at once where somebody else has it, and nothing was begun', async () => {
    const machinery = new Machinery();
    const other = await otherRun(machinery);
    await expect(executeRun(workflowOf(planOf()), header(), machinery.context)).rejects.toMatchObject({
      code: 'LOCKED',
      exitCode: 11,
      message: `main is in use by the run ${OTHER} (failover, pid 1 on db2, since 2026-11-22 21:16:28 UTC).`,
      details: { runId: OTHER, pid: 1, host: 'db2', verb: 'failover' },
    });
    expect(machinery.cluster.world.runs.size).toBe(0);
    await other.release();
  });

  it('is waited for where that is wanted, and it is said for whom', async () => {
    const machinery = new Machinery();
    const other = await otherRun(machinery);
    const { sleep } = machinery.ports.clock;
    let sleeps = 0;
    machinery.ports.clock.sleep = async (ms, signal) => {
      sleeps += 1;
      if (sleeps === 3) await other.release();
      return sleep(ms, signal);
    };
    await executeRun(workflowOf(planOf(step('one'))), header(), { ...machinery.context, waitMs: 60_000 });
    const notes = machinery.events.filter((event) => event.kind === 'note');
    expect(notes).toMatchObject([{ level: 'info', message: expect.stringContaining(`waiting: main is in use by the run ${OTHER}`) }]);
  });

  it('is waited for no longer than was said', async () => {
    const machinery = new Machinery();
    await otherRun(machinery);
    const startedMs = machinery.ports.clock.monotonicMs();
    const run = executeRun(workflowOf(planOf()), header(), { ...machinery.context, waitMs: 60_000 });
    await expect(run).rejects.toMatchObject({ code: 'LOCKED' });
    expect(machinery.ports.clock.monotonicMs() - startedMs).toBeGreaterThanOrEqual(60_000);
  });

  it('that cannot be given back does not make a failure of a success', async () => {
    const machinery = new Machinery();
    const [store] = machinery.ports.leases;
    const lease: Lease = {
      epoch: 1,
      goodUntilMs: () => Infinity,
      renew: () => Promise.resolve(),
      release: () => Promise.reject(new Error('the disk is gone')),
    };
    const leases: LeaseStore[] = [{ ...store!, tryAcquire: () => Promise.resolve({ kind: 'acquired', lease }) }];
    await executeRun(workflowOf(planOf()), header(), { ...machinery.context, ports: { ...machinery.ports, leases } });
    expect(machinery.events).toContainEqual(expect.objectContaining({ message: 'a lock was not released: the disk is gone' }));
  });

  it('is lost to another host: the step is ended, and the run can be resumed', async () => {
    const clock = new TestClock();
    const register = new MemoryRegister(clock);
    const machinery: Machinery = new Machinery((_step, { signal }) => {
      register.text = '{"schema":1,"lastEpoch":7,"leases":[]}';
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new SpokeError('CANCELLED', 'ended'))));
    });
    const ports = { ...machinery.ports, clock, leases: [sharedStore(register, clock)] };
    const run = executeRun(workflowOf(planOf(step('one'))), header(), { ...machinery.context, ports }).catch(asSpokeError);
    await clock.advance(60_000);
    expect(await run).toMatchObject({
      code: 'LEASE_LOST',
      exitCode: 11,
      hint: `Once it is free again: spoke-backup runs resume ${RUN_ID}`,
    });
    expect((await machinery.entries()).at(-1)).toMatchObject({ kind: 'run-finished', outcome: 'cancelled' });
  });

  it('cannot be renewed: what was begun is finished, and no step is begun after that', async () => {
    const clock = new TestClock();
    const register = new MemoryRegister(clock);
    const begun: string[] = [];
    const machinery: Machinery = new Machinery(async (one, { signal }) => {
      begun.push(one.id);
      register.fault = new SpokeError('REPOSITORY_UNAVAILABLE', 'no route to host');
      await clock.sleep(60_000, signal);
      return {};
    });
    const ports = { ...machinery.ports, clock, leases: [sharedStore(register, clock)] };
    const run = executeRun(workflowOf(planOf(step('one'), step('two'))), header(), { ...machinery.context, ports }).catch(asSpokeError);
    await clock.advance(70_000);
    register.fault = undefined;
    await clock.advance(10_000);
    expect(await run).toMatchObject({ code: 'LEASE_LOST' });
    expect(begun).toEqual(['one']);
    expect(await machinery.journal()).toEqual(['attempt', 'step-started one', 'step-finished one', 'run-finished']);
    const notes = machinery.events.filter((event) => event.kind === 'note').map(({ message }) => message);
    expect(notes[0]).toContain('the lease cannot be renewed, and in 19 s nothing new is begun any more: no route to host');
  });
});

const OTHER = '20261122T211629Z-failover-bbbb';

async function otherRun({ ports }: Machinery): Promise<Lease> {
  const claim = { verb: 'failover', cluster: 'main', repositories: [], host: 'db2' } as const;
  const holder = { name: OTHER, pid: 1, host: 'db2', since: header().startedAt };
  const attempt = await ports.leases[0]!.tryAcquire(claim, holder, new AbortController().signal);
  if (attempt.kind !== 'acquired') throw new Error('somebody else has it');
  return attempt.lease;
}

function sharedStore(register: MemoryRegister, clock: TestClock): LeaseStore {
  return new S3LeaseStore(() => Promise.resolve(register), {
    place: 'the bucket',
    clock,
    termMs: 30_000,
    ownProcess: { pid: 1 },
    isGone: () => Promise.resolve(false),
  });
}
