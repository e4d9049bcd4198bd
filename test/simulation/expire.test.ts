import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BackupLabel, RepositoryName } from '../../src/domain/catalog/base-backup.ts';
import { executeRun } from '../../src/engine/execute-run.ts';
import { createStepHandlers } from '../../src/engine/handlers/index.ts';
import { expireWorkflow } from '../../src/engine/simple-workflows.ts';
import { asSpokeError } from '../../src/errors.ts';
import type { RunHeader, RunId } from '../../src/ports/run-store.ts';
import type { ExpireIntent } from '../../src/workflows/expire/facts.ts';
import { agedEvents, buildCluster, type FakeCluster } from '../fakes/cluster.ts';
import { fakePorts, fakeReadPorts } from '../fakes/ports.ts';
import { type Disturbance, FakeProcess } from '../fakes/process.ts';
import { simulation } from './seeds.ts';

const RUN_ID = '20261122T211628Z-expire-k3f9' as RunId;
const LOCAL = 'local' as RepositoryName;

/** Ages in days, the oldest first. */
const ages = fc
  .array(fc.integer({ min: 1, max: 12 }), { minLength: 2, maxLength: 8 })
  .map((gaps) => gaps.map((_gap, index) => gaps.slice(index).reduce((sum, gap) => sum + gap, 0)));

const scenario = fc.record({
  ages,
  pinned: fc.option(fc.nat(7), { nil: undefined }),
  blows: fc.array(
    fc.record({
      point: fc.integer({ min: 1, max: 25 }),
      kind: fc.constantFrom<Disturbance['kind']>('crash', 'machine crash', 'cancel'),
      moment: fc.constantFrom<Disturbance['moment']>('before', 'during', 'after'),
    }),
    { maxLength: 3 },
  ),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

function begin({ ages: days, pinned }: Scenario): FakeCluster {
  const built = buildCluster({ events: agedEvents(days) });
  const label = pinned === undefined ? undefined : built.world.repositories[0]?.backups[pinned]?.backup.label;
  if (label !== undefined) built.world.pins.set('main', [{ repository: LOCAL, label, until: 'forever', reason: 'audit' }]);
  return built;
}

function headerOf({ world }: FakeCluster): RunHeader {
  const intent: ExpireIntent = { cluster: 'main', repositories: [LOCAL], confirmed: true, decidedAtMicros: String(world.now()) };
  const by = { host: 'db1', user: 'postgres', programVersion: '0.1.0' };
  return { runId: RUN_ID, verb: 'expire', cluster: 'main', startedAt: world.now(), trigger: { kind: 'manual' }, ...by, intent };
}

async function attempt(built: FakeCluster, header: RunHeader, disturbances = new Map<number, Disturbance>()) {
  const process = new FakeProcess(built.world, { disturbances });
  const ports = fakePorts(process, built.cluster);
  const context = { ports, handlers: createStepHandlers(ports), emit: () => undefined, signal: process.signal, pid: process.pid };
  try {
    await executeRun(expireWorkflow(built.cluster, ports), header, context);
    return undefined;
  } catch (thrown) {
    return asSpokeError(thrown);
  }
}

function contentOf({ world }: FakeCluster) {
  const [repository] = world.repositories;
  return {
    backups: repository?.backups.map(({ backup }) => backup.label),
    segments: [...(repository?.segments.keys() ?? [])],
    leftovers: [...(repository?.leftovers ?? [])],
  };
}

/** After every change: the newest backup and what is pinned are there, with the WAL that makes them consistent. */
function watch({ world }: FakeCluster): void {
  const [repository] = world.repositories;
  const newest = repository?.backups.at(-1)?.backup.label;
  const pinned = world.pins.get('main')?.map(({ label }) => label) ?? [];
  world.onChange = () => {
    for (const label of [newest, ...pinned] as (BackupLabel | undefined)[])
      if (label !== undefined && repository?.backupLabelled(label) === undefined) world.violations.push(`${label} is gone`);
  };
}

async function play(told: Scenario): Promise<void> {
  const undisturbed = begin(told);
  const expected = headerOf(undisturbed);
  expect(await attempt(undisturbed, expected)).toBeUndefined();
  const built = begin(told);
  watch(built);
  const header = headerOf(built);
  for (const { point, kind, moment } of told.blows) await attempt(built, header, new Map([[point, { kind, moment }]]));
  const run = fakeReadPorts(new FakeProcess(built.world), built.cluster).runs;
  const last = built.world.runs.has(RUN_ID) ? (await run.read(RUN_ID)).entries.at(-1) : undefined;
  if (last?.kind !== 'run-finished' || last.outcome !== 'succeeded') expect(await attempt(built, header)).toBeUndefined();
  expect(built.world.violations).toEqual([]);
  expect(contentOf(built)).toEqual({ ...contentOf(undisturbed), leftovers: [] });
}

describe('an expiry that is cut off', () => {
  it('ends, resumed, where an undisturbed one ends, and never loses the newest backup or a pinned one', async () => {
    await fc.assert(fc.asyncProperty(scenario, play), simulation(400));
  });

  it('is skipped, and has not failed, where the store lets nothing be deleted', async () => {
    const built = begin({ ages: [20, 9, 1], pinned: undefined, blows: [] });
    const [repository] = built.world.repositories;
    if (repository !== undefined) repository.deniesDeletion = true;
    const before = contentOf(built);
    expect(await attempt(built, headerOf(built))).toBeUndefined();
    expect(contentOf(built)).toEqual(before);
    const { entries } = await fakeReadPorts(new FakeProcess(built.world), built.cluster).runs.read(RUN_ID);
    expect(entries.at(-1)).toMatchObject({ kind: 'run-finished', outcome: 'succeeded' });
    expect(entries.filter(({ kind }) => kind === 'step-finished')).toEqual([
      expect.objectContaining({ result: expect.objectContaining({ skipped: expect.stringContaining('lets nothing be deleted') }) }),
      expect.objectContaining({ result: expect.objectContaining({ skipped: expect.stringContaining('lets nothing be deleted') }) }),
    ]);
  });

  it('lets a backup be that was pinned while the run was under way', async () => {
    const built = begin({ ages: [20, 9, 1], pinned: undefined, blows: [] });
    const label = built.world.repositories[0]?.backups[0]?.backup.label as BackupLabel;
    const pin = () => void built.world.pins.set('main', [{ repository: LOCAL, label, until: 'forever', reason: 'audit' }]);
    // Right before the plan's first effect: the journal has said that the step begins.
    const started = 4;
    await attempt(built, headerOf(built), new Map([[started, { kind: 'act', moment: 'after', act: pin }]]));
    expect(built.world.repositories[0]?.backupLabelled(label)).toBeDefined();
    const { entries } = await fakeReadPorts(new FakeProcess(built.world), built.cluster).runs.read(RUN_ID);
    expect(entries.filter(({ kind }) => kind === 'step-failed')).toEqual([expect.objectContaining({ code: 'PLAN_STALE' })]);
  });
});
