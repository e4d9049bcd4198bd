import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RepositoryName } from '../../src/domain/catalog/base-backup.ts';
import { executeRun } from '../../src/engine/execute-run.ts';
import { createStepHandlers } from '../../src/engine/handlers/index.ts';
import { backupWorkflow } from '../../src/engine/simple-workflows.ts';
import type { EngineVersion } from '../../src/ports/backup-engine.ts';
import { asSpokeError, type ErrorCode, SpokeError } from '../../src/errors.ts';
import type { RunHeader, RunId } from '../../src/ports/run-store.ts';
import type { BackupIntent } from '../../src/workflows/backup/plan.ts';
import { buildCluster, commits, type FakeCluster } from '../fakes/cluster.ts';
import { finishOrphanedBackups } from '../fakes/engine.ts';
import { fakePorts, fakeReadPorts } from '../fakes/ports.ts';
import { type Disturbance, FakeProcess } from '../fakes/process.ts';
import { share } from './restore-scenario.ts';
import { simulation } from './seeds.ts';

const ONE_AT_A_TIME: EngineVersion = { name: 'pgbackrest', version: '2.45' };
const SEVERAL_AT_ONCE: EngineVersion = { name: 'native', version: '17.2', copiesIntoSeveral: true, needsFullOnNewTimeline: true };

const RUN_ID = '20261122T211628Z-backup-k3f9' as RunId;

interface Fault {
  readonly repository: number;
  readonly code: ErrorCode;
  /** The backup is complete all the same. */
  readonly isComplete: boolean;
}

const fault: fc.Arbitrary<Fault> = fc.record({
  repository: fc.nat(1),
  code: fc.constantFrom<ErrorCode>('TIMED_OUT', 'REPOSITORY_UNAVAILABLE', 'TOOL_FAILED', 'DISK_FULL'),
  isComplete: fc.boolean(),
});

const blow = fc.record({
  place: share,
  kind: fc.constantFrom<Disturbance['kind']>('crash', 'machine crash', 'cancel'),
  moment: fc.constantFrom<Disturbance['moment']>('before', 'during', 'after'),
  /** Whether the engine's process that was left behind has ended by the time somebody resumes. */
  waits: fc.boolean(),
});

const scenario = fc.record({
  /** One of them serves several repositories by one reading of the database. */
  engine: fc.constantFrom<EngineVersion>(ONE_AT_A_TIME, SEVERAL_AT_ONCE),
  repositories: fc.constantFrom<1 | 2>(1, 2),
  type: fc.constantFrom<BackupIntent['type']>('full', 'diff', 'incr'),
  /** Of the two repositories, which have a backup already. */
  present: fc.subarray([0, 1]),
  faults: fc.array(fault, { maxLength: 3 }),
  unreachable: fc.option(fc.nat(1), { freq: 4, nil: undefined }),
  blows: fc.array(blow, { maxLength: 3 }),
});

type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

function begin({ engine, repositories, present, faults, unreachable }: Scenario): FakeCluster {
  const events = present.map((repository) => ({ kind: 'backup', repository, type: 'full' }) as const);
  const built = buildCluster({ engine, repositories, events: [...commits(2), ...events, ...commits(2)], startsAtBoot: true });
  for (const { repository, code, isComplete } of faults)
    built.world.repositories[repository]?.backupFaults.push({ error: new SpokeError(code, 'a fault of the engine'), isComplete });
  const away = unreachable === undefined ? undefined : built.world.repositories[unreachable];
  if (away !== undefined) away.state = 'down';
  return built;
}

function intentOf({ repositories, type }: Scenario): BackupIntent {
  return { cluster: 'main', type, repositories: ['local', 's3'].slice(0, repositories) as RepositoryName[] };
}

async function attempt(built: FakeCluster, told: Scenario, disturbances = new Map<number, Disturbance>()) {
  const process = new FakeProcess(built.world, { disturbances });
  const ports = fakePorts(process, built.cluster);
  const startedAt = built.world.now();
  const header: RunHeader = {
    runId: RUN_ID,
    verb: 'backup',
    cluster: 'main',
    startedAt,
    host: 'db1',
    user: 'postgres',
    programVersion: '0.1.0',
    trigger: { kind: 'manual' },
    intent: intentOf(told),
  };
  const context = { ports, handlers: createStepHandlers(ports), emit: () => undefined, signal: process.signal, pid: process.pid };
  try {
    await executeRun(backupWorkflow(built.cluster, ports), header, context);
    return { process, error: undefined };
  } catch (thrown) {
    return { process, error: asSpokeError(thrown) };
  }
}

function ofThisRun({ world }: FakeCluster): readonly (readonly string[])[] {
  return world.repositories.map(({ backups }) =>
    backups.flatMap(({ backup }) => (backup.annotations['spoke-run'] === RUN_ID ? [backup.label] : [])),
  );
}

/** Every label that the journal reports is in the catalogue. */
async function expectReportedAreThere(built: FakeCluster): Promise<void> {
  const { runs } = fakeReadPorts(new FakeProcess(built.world), built.cluster);
  if (!built.world.runs.has(RUN_ID)) return;
  const { entries } = await runs.read(RUN_ID);
  for (const entry of entries) {
    if (entry.kind !== 'step-finished') continue;
    const { repository, label } = entry.result as { repository: string; label: string };
    expect(built.world.repositories.find((one) => one.name === repository)?.backupLabelled(label)).toBeDefined();
  }
}

async function outcome(built: FakeCluster): Promise<string | undefined> {
  const { entries } = await fakeReadPorts(new FakeProcess(built.world), built.cluster).runs.read(RUN_ID);
  const last = entries.at(-1);
  return last?.kind === 'run-finished' ? last.outcome : undefined;
}

async function play(told: Scenario): Promise<void> {
  const { points } = (await attempt(begin(told), told)).process;
  const built = begin(told);
  const before = built.world.repositories.map(({ backups }) => backups.map(({ backup }) => backup.label));
  for (const { place, kind, moment, waits } of told.blows) {
    await attempt(built, told, new Map([[1 + Math.floor(place * points), { kind, moment }]]));
    if (waits) finishOrphanedBackups(built.world);
    for (const labels of ofThisRun(built)) expect(labels.length).toBeLessThanOrEqual(1);
    await expectReportedAreThere(built);
  }
  await attempt(built, told);
  for (const [index, repository] of built.world.repositories.entries())
    if (repository.state === 'up' && !told.faults.some((one) => one.repository === index)) expect(ofThisRun(built)[index]).toHaveLength(1);
  const isWhole = ofThisRun(built).every((labels) => labels.length === 1);
  if (!isWhole) expect(await outcome(built)).not.toBe('succeeded');

  // Whatever was broken is repaired, and the run resumed.
  for (const repository of built.world.repositories) {
    repository.state = 'up';
    repository.backupFaults.splice(0);
  }
  const last = await attempt(built, told);
  expect(last.error).toBeUndefined();
  expect(await outcome(built)).toBe('succeeded');
  for (const labels of ofThisRun(built)) expect(labels).toHaveLength(1);
  await expectReportedAreThere(built);
  for (const [index, labels] of before.entries())
    for (const label of labels) expect(built.world.repositories[index]?.backupLabelled(label)).toBeDefined();
}

describe('a backup that is interrupted', () => {
  it('leaves exactly one backup of the run in each repository once it is through, and never two', async () => {
    await fc.assert(fc.asyncProperty(scenario, play), simulation(2500));
  });
});
