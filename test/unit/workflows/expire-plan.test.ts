import { describe, expect, it } from 'vitest';
import type { BackupLabel, RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import type { JournalEntry, RunHeader, RunId, StoredRun } from '../../../src/ports/run-store.ts';
import { instantOfMicros } from '../../../src/domain/time/instant.ts';
import { hasLeftovers, lastBackupFailure } from '../../../src/workflows/expire/history.ts';
import { verdictsOf } from '../../../src/workflows/expire/verdicts.ts';
import { type ExpireFacts, type ExpireIntent, observeExpire } from '../../../src/workflows/expire/facts.ts';
import { explainExpire, isConfirmable, planExpire } from '../../../src/workflows/expire/plan.ts';
import { observePin, type PinIntent, planPin } from '../../../src/workflows/pin/plan.ts';
import { agedEvents, buildCluster, type FakeCluster } from '../../fakes/cluster.ts';
import { fakePorts, readOnlyPorts } from '../../fakes/ports.ts';
import { createStepHandlers } from '../../../src/engine/handlers/index.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { StepOf } from '../../../src/plan/step.ts';
import { FakeBucket } from '../../fakes/object-store.ts';
import { FakeProcess } from '../../fakes/process.ts';
import { takeFakeBackup } from '../../fakes/repository.ts';

const context = { signal: new AbortController().signal };
const LOCAL = 'local' as RepositoryName;
const BOTH = ['local', 's3'] as RepositoryName[];

function intentOf({ world }: FakeCluster, more: Partial<ExpireIntent> = {}): ExpireIntent {
  return { cluster: 'main', repositories: [LOCAL], confirmed: false, decidedAtMicros: String(world.now()), ...more };
}

async function observe(built: FakeCluster, more: Partial<ExpireIntent> = {}): Promise<{ intent: ExpireIntent; facts: ExpireFacts }> {
  const intent = intentOf(built, more);
  return { intent, facts: await observeExpire(built.cluster, intent, readOnlyPorts(new FakeProcess(built.world), built.cluster), context) };
}

async function planOf(built: FakeCluster, more: Partial<ExpireIntent> = {}) {
  const { intent, facts } = await observe(built, more);
  return planExpire(intent, facts);
}

const aged = (days: readonly number[], repositories: 1 | 2 = 1) => buildCluster({ events: agedEvents(days), repositories });
const labelsOf = ({ world }: FakeCluster) => world.repositories[0]?.backups.map(({ backup }) => backup.label) ?? [];

describe('the plan of an expiry', () => {
  it('lets go the oldest backup first, each with what depends on it, and then the WAL', async () => {
    const built = aged([60, 30, 20, 9, 6, 3, 1]);
    const plan = await planOf(built);
    const [first, second, third] = labelsOf(built);
    expect(plan.steps.map(({ id, effect, onFailure }) => [id, effect, onFailure])).toEqual([
      [`expire-backup:local:${first}`, 'destructive', 'continue'],
      [`expire-backup:local:${second}`, 'destructive', 'continue'],
      [`expire-backup:local:${third}`, 'destructive', 'continue'],
      ['expire-wal:local', 'destructive', 'continue'],
    ]);
    expect(plan.warnings).toEqual([]);
  });

  it('is empty where nothing is too old', async () => {
    const built = aged([6, 3]);
    built.world.repositories[0]?.segments.clear();
    expect(await planOf(built)).toEqual({ steps: [], warnings: [] });
  });

  it('does without a repository that cannot be read, and says so', async () => {
    const built = aged([20, 9, 1], 2);
    const s3 = built.world.repositories[1];
    if (s3 !== undefined) s3.state = 'down';
    const plan = await planOf(built, { repositories: BOTH });
    expect(plan.steps.map(({ kind }) => kind)).toEqual(['expire-backup', 'expire-wal']);
    expect(plan.warnings).toEqual([expect.stringContaining('s3')]);
    const local = built.world.repositories[0];
    if (local !== undefined) local.state = 'denied';
    await expect(planOf(built, { repositories: [LOCAL] })).rejects.toMatchObject({ code: 'REPOSITORY_DENIED', exitCode: 21 });
  });

  it('takes nothing where the engine is at work and could not be asked', async () => {
    const built = aged([20, 9, 1]);
    const [local] = built.world.repositories;
    if (local !== undefined) local.isLocked = true;
    expect(await planOf(built)).toMatchObject({ steps: [], warnings: [expect.stringContaining('could not be compared')] });
  });

  it('knows a pin from the state directory and one from the annotation of the backup', async () => {
    const built = aged([60, 30, 20, 9, 6, 3, 1]);
    const [first, second, third] = labelsOf(built);
    built.world.pins.set('main', [{ repository: LOCAL, label: first as BackupLabel, until: 'forever', reason: 'audit' }]);
    built.world.repositories[0]?.annotate({ repository: LOCAL, label: second as BackupLabel, key: 'spoke-pin', value: 'forever audit' });
    expect((await planOf(built)).steps.map(({ id }) => id)).toEqual([`expire-backup:local:${third}`, 'expire-wal:local']);
  });

  it('says when a confirmation would help, and when none would', async () => {
    const large = await observe(aged([60, 30, 20, 9]));
    expect(isConfirmable(explainExpire(large.facts))).toBe(false);
    const cluster = aged([60, 30, 20, 9, 1]);
    expect(isConfirmable(explainExpire((await observe(cluster)).facts))).toBe(true);
    expect((await planOf(cluster, { confirmed: true })).steps).toHaveLength(4);
  });

  it('takes no more when it is resumed later than was decided', async () => {
    const built = aged([20, 9, 6, 1]);
    const { decidedAtMicros } = intentOf(built);
    built.world.advance(3 * 86_400_000);
    const plan = await planOf(built, { decidedAtMicros });
    expect(plan.steps.map(({ id }) => id)).toEqual([`expire-backup:local:${labelsOf(built)[0]}`, 'expire-wal:local']);
  });

  it('aborts the uploads into a bucket that nobody completes any more, and only those', async () => {
    const built = aged([20, 9, 1]);
    const bucket = new FakeBucket();
    built.world.buckets.set('local', bucket);
    const day = 86_400_000_000n;
    bucket.beginUpload('repository/old', instantOfMicros(built.world.now() - 8n * day));
    bucket.beginUpload('repository/new', instantOfMicros(built.world.now() - 6n * day));
    const step = (await planOf(built)).steps.at(-1);
    expect(step).toMatchObject({ kind: 'abort-uploads', uploads: [{ key: 'repository/old' }] });
    const ports = fakePorts(new FakeProcess(built.world), built.cluster);
    await createStepHandlers(ports)['abort-uploads'].run(step as StepOf<'abort-uploads'>, context);
    expect(bucket.uploads.map(({ key }) => key)).toEqual(['repository/new']);
    expect((await planOf(built)).steps.map(({ kind }) => kind)).toEqual(['expire-backup', 'expire-wal']);
  });

  it('does not take what a bucket does not tell for nothing, and goes on without it', async () => {
    const built = aged([20, 9, 1]);
    const bucket = new FakeBucket();
    bucket.fault = new SpokeError('REPOSITORY_DENIED', 'AccessDenied');
    built.world.buckets.set('local', bucket);
    const { facts } = await observe(built);
    expect(facts.repositories[0]?.bucket).toEqual({ unknown: 'AccessDenied' });
    expect((await planOf(built)).steps.map(({ kind }) => kind)).toEqual(['expire-backup', 'expire-wal']);
  });

  it('takes an incremental backup of a pinned full one by itself', async () => {
    const built = aged([60]);
    const [local] = built.world.repositories;
    if (local === undefined) throw new Error('no repository');
    const { history } = built.world;
    for (const [type, days] of [
      ['incr', 30],
      ['full', 8],
      ['full', 1],
    ] as const) {
      takeFakeBackup(local, history, { type, tablespaces: [], postgresqlConf: '', autoConf: '', annotations: {} });
      history.time = instantOfMicros(history.time + BigInt(days) * 86_400_000_000n);
    }
    const [full, incr] = labelsOf(built);
    built.world.pins.set('main', [{ repository: LOCAL, label: full as BackupLabel, until: 'forever', reason: 'audit' }]);
    built.world.advance(60 * 86_400_000);
    const plan = await planOf(built, { confirmed: true, decidedAtMicros: String(history.time) });
    expect(plan.steps[0]).toMatchObject({ kind: 'expire-backup', label: incr, dependents: [] });
  });
});

describe('the plan of a pin', () => {
  const change = (label: BackupLabel, pin: PinIntent['pin'], repositories = [LOCAL]): PinIntent => ({
    cluster: 'main',
    label,
    repositories,
    pin,
  });

  async function steps(built: FakeCluster, intent: PinIntent) {
    const ports = fakePorts(new FakeProcess(built.world), built.cluster);
    return planPin(intent, await observePin(built.cluster, intent, ports, context)).steps.map(({ kind }) => kind);
  }

  it('goes into the state directory first, from where on it holds; and is taken away the other way round', async () => {
    const built = aged([20, 9, 1]);
    const [label] = labelsOf(built) as [BackupLabel];
    const pin = { until: '2027-01-01T00:00:00.000000Z', reason: 'audit' };
    expect(await steps(built, change(label, pin))).toEqual(['save-pin', 'annotate-backup']);
    built.world.repositories[0]?.annotate({ repository: LOCAL, label, key: 'spoke-pin', value: `${pin.until} audit` });
    expect(await steps(built, change(label, pin))).toEqual(['save-pin']);
    built.world.pins.set('main', [{ repository: LOCAL, label, until: 'forever', reason: 'audit' }]);
    expect(await steps(built, change(label, null))).toEqual(['annotate-backup', 'remove-pin']);
  });

  it('is refused for a backup that no repository has', async () => {
    const intent = change('20200101-000000F' as BackupLabel, { until: 'forever', reason: 'audit' }, BOTH);
    await expect(steps(aged([1], 2), intent)).rejects.toMatchObject({ code: 'NO_BACKUP', exitCode: 13 });
  });
});

describe('the history of runs', () => {
  const at = (second: number) => instantOfMicros(BigInt(second) * 1_000_000n);
  const run = (verb: RunHeader['verb'], entries: readonly Omit<JournalEntry, 'at'>[], start = 0): StoredRun => ({
    header: {
      ...{
        runId: `20261122T21162${start}Z-${verb}-k3f9` as RunId,
        verb,
        cluster: 'main',
        startedAt: at(start),
        trigger: { kind: 'manual' } as const,
      },
      ...{ host: 'db1', user: 'postgres', programVersion: '0.1.0', intent: { cluster: 'main', type: 'full', repositories: ['local'] } },
    },
    entries: entries.map((entry, index) => ({ ...entry, at: at(start + index) }) as JournalEntry),
  });
  const started = (step: string) => ({ kind: 'step-started', step, detail: {} }) as const;
  const finished = (step: string, result: unknown = {}) => ({ kind: 'step-finished', step, seconds: 1, result }) as const;
  const failed = (step: string, code: string, details?: unknown) => ({ kind: 'step-failed', step, code, message: '', details }) as const;
  const ended = (outcome: string) => ({ kind: 'run-finished', outcome, result: {} }) as Omit<JournalEntry, 'at'>;

  it('tells that the newest backup failed, unless it was cancelled or runs still', () => {
    const failure = run('backup', [started('take-backup:local'), failed('take-backup:local', 'TOOL_FAILED'), ended('failed')], 10);
    const success = run('backup', [started('take-backup:local'), finished('take-backup:local'), ended('succeeded')], 20);
    const cancelled = run('backup', [started('take-backup:local'), failed('take-backup:local', 'CANCELLED'), ended('cancelled')], 30);
    const running = run('backup', [started('take-backup:local')], 40);
    expect(lastBackupFailure([failure], LOCAL)).toBe(at(11));
    expect(lastBackupFailure([running, cancelled, failure], LOCAL)).toBe(at(11));
    expect(lastBackupFailure([success, failure], LOCAL)).toBeUndefined();
    expect(lastBackupFailure([failure], 's3' as RepositoryName)).toBeUndefined();
  });

  it('tells what verifications and drills found', () => {
    const step = 'verify-repository:local';
    const sound = run('backup', [started(step), finished(step, { repository: 'local', ok: true })], 10);
    const damaged = run('backup', [started(step), failed(step, 'VERIFICATION_FAILED', { damagedBackups: ['A'] })], 20);
    const wal = run('backup', [started(step), failed(step, 'VERIFICATION_FAILED', { damagedBackups: [] })], 30);
    const unreachable = run('backup', [started(step), failed(step, 'REPOSITORY_UNAVAILABLE')], 40);
    const drill = run(
      'backup',
      [
        finished('drill', {
          verified: [
            { repository: 'local', label: 'B', sound: true },
            { repository: 's3', sound: false },
          ],
        }),
      ],
      50,
    );
    expect(verdictsOf([sound, damaged, wal, unreachable, drill], LOCAL)).toEqual([
      { repository: 'local', at: at(10), sound: true },
      { repository: 'local', label: 'A', at: at(20), sound: false },
      { repository: 'local', at: at(30), sound: false },
      { repository: 'local', label: 'B', at: at(50), sound: true },
    ]);
  });

  it('tells that files may be left of an expiry whose end nobody saw, until WAL was removed once more', () => {
    const step = 'expire-backup:local:A';
    const dead = run('expire', [started(step)], 10);
    const resumed = run('expire', [started(step), started('expire-wal:local'), finished('expire-wal:local')], 20);
    const whole = run('expire', [started(step), finished(step)], 30);
    expect(hasLeftovers([dead], LOCAL)).toBe(true);
    expect(hasLeftovers([whole, dead], LOCAL)).toBe(true);
    expect(hasLeftovers([resumed, dead], LOCAL)).toBe(false);
    expect(hasLeftovers([whole], LOCAL)).toBe(false);
    expect(hasLeftovers([dead], 's3' as RepositoryName)).toBe(false);
  });
});
