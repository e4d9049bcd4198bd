import { describe, expect, it } from 'vitest';
import type { RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { executeRun } from '../../../src/engine/execute-run.ts';
import { createStepHandlers } from '../../../src/engine/handlers/index.ts';
import { verifyWorkflow } from '../../../src/engine/simple-workflows.ts';
import { asSpokeError } from '../../../src/errors.ts';
import type { ReadPorts, WritePorts } from '../../../src/ports/bundle.ts';
import type { RunHeader, RunId } from '../../../src/ports/run-store.ts';
import type { VerifyIntent } from '../../../src/workflows/verify/plan.ts';
import { buildCluster, type FakeClusterSpec } from '../../fakes/cluster.ts';
import { fakePorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';

const RUN_ID = '20261122T211628Z-verify-k3f9' as RunId;
const FULLS: FakeClusterSpec['events'] = [
  { kind: 'backup', repository: 0, type: 'full' },
  { kind: 'backup', repository: 1, type: 'full' },
];

function begin() {
  const { world, cluster } = buildCluster({ repositories: 2, events: FULLS });
  const intent: VerifyIntent = { cluster: 'main', repositories: ['local', 's3'] as RepositoryName[] };
  const startedAt = world.now();
  const header: RunHeader = {
    ...{ runId: RUN_ID, verb: 'verify', cluster: 'main', startedAt, host: 'db1', user: 'postgres', programVersion: '0.1.0', intent },
    trigger: { kind: 'manual' },
  };
  const [local, s3] = world.repositories;
  if (local === undefined || s3 === undefined) throw new Error('there are two repositories');
  const ports = fakePorts(new FakeProcess(world), cluster);
  const run = async (changed: Partial<ReadPorts & WritePorts> = {}) => {
    const seen = { ...ports, ...changed };
    const context = { ports: seen, handlers: createStepHandlers(seen), emit: () => {}, signal: new AbortController().signal, pid: 1 };
    const outcome = await executeRun(verifyWorkflow(cluster, seen), header, context);
    const { entries } = await ports.runs.read(RUN_ID);
    const last = entries.at(-1);
    return { outcome, entries, ended: last?.kind === 'run-finished' ? last.outcome : undefined };
  };
  return { world, ports, local, s3, run };
}

describe('a verification', () => {
  it('reads every repository, and succeeds where all are sound', async () => {
    const { ended, entries } = await begin().run();
    expect(ended).toBe('succeeded');
    expect(entries.filter((entry) => entry.kind === 'step-finished')).toMatchObject([
      { step: 'verify-repository:local', result: { repository: 'local', ok: true } },
      { step: 'verify-repository:s3', result: { repository: 's3', ok: true } },
    ]);
  });

  it('of a damaged repository fails, says in the journal which backups are damaged, and goes on with the other one', async () => {
    const { local, run } = begin();
    const [{ backup } = { backup: undefined }] = local.backups;
    local.damagedBackups.add(String(backup?.label));
    const { ended, entries, outcome } = await run();
    expect(ended).toBe('failed');
    expect(outcome.failures.map(({ error }) => [error.code, error.exitCode])).toEqual([['VERIFICATION_FAILED', 14]]);
    expect(entries.find((entry) => entry.kind === 'step-failed')).toMatchObject({
      step: 'verify-repository:local',
      code: 'VERIFICATION_FAILED',
      details: { repository: 'local', damagedBackups: [backup?.label] },
    });
    expect(entries.some((entry) => entry.kind === 'step-finished' && entry.step === 'verify-repository:s3')).toBe(true);
  });

  it('that is resumed reads what was damaged again, and leaves out what was found sound', async () => {
    const { local, run } = begin();
    local.damagedBackups.add('damaged');
    await run();
    local.damagedBackups.clear();
    const { entries, ended } = await run();
    expect(ended).toBe('succeeded');
    expect(entries.flatMap((entry) => (entry.kind === 'step-started' ? [entry.step] : []))).toEqual([
      ...['verify-repository:local', 'verify-repository:s3', 'verify-repository:local'],
    ]);
  });

  it('does not call damaged what was expired while it was being read', async () => {
    const { ports, local, run } = begin();
    const expiring = String(local.backups[0]?.backup.label);
    let looked = 0;
    const catalog: ReadPorts['catalog'] = {
      ...ports.catalog,
      verifyRepository: async (name, context) => {
        if (name !== 'local' || looked++ > 0) return ports.catalog.verifyRepository(name, context);
        local.expire(expiring);
        return { ok: false, faults: [`backup: ${expiring}: missing: 964`], damagedBackups: [] };
      },
    };
    expect((await run({ catalog })).ended).toBe('succeeded');
    expect(looked).toBe(2);
  });

  it('calls a red repository red after one look where nothing was expired', async () => {
    const { ports, local, run } = begin();
    local.damagedBackups.add('damaged');
    let looked = 0;
    const catalog: ReadPorts['catalog'] = {
      ...ports.catalog,
      verifyRepository: (name, context) => {
        if (name === 'local') looked += 1;
        return ports.catalog.verifyRepository(name, context);
      },
    };
    expect((await run({ catalog })).ended).toBe('failed');
    expect(looked).toBe(1);
  });

  it('writes the configuration first that the engine would not find', async () => {
    const { world, run } = begin();
    world.configurationIsCurrent = false;
    expect((await run()).ended).toBe('succeeded');
    expect(world.configurationIsCurrent).toBe(true);
  });

  it('fails where a repository cannot be read, though the other one is sound', async () => {
    const { s3, run } = begin();
    s3.state = 'down';
    const { ended, outcome } = await run();
    expect([ended, outcome.failures]).toEqual(['failed', []]);
  });

  it.each([
    ['down', 'REPOSITORY_UNAVAILABLE'],
    ['denied', 'REPOSITORY_DENIED'],
  ] as const)('is refused where every repository is %s', async (state, code) => {
    const { local, s3, run } = begin();
    local.state = s3.state = state;
    expect(asSpokeError(await run().catch((thrown: unknown) => thrown)).code).toBe(code);
  });
});
