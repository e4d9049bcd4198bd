import { describe, expect, it } from 'vitest';
import type { BackupType, RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import { type BackupIntent, observeBackup, planBackup, reasonAgainstBackup } from '../../../src/workflows/backup/plan.ts';
import type { StoredRun } from '../../../src/ports/run-store.ts';
import type { EngineVersion } from '../../../src/ports/backup-engine.ts';
import { buildCluster, commits, type FakeCluster, type FakeClusterSpec } from '../../fakes/cluster.ts';
import { takeFakeBackup } from '../../fakes/repository.ts';
import { readOnlyPorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';

const RUN = '20261122T211628Z-backup-k3f9';
const BOTH = ['local', 's3'] as RepositoryName[];
const FIRST = [{ kind: 'backup', repository: 0, type: 'full' }] as const;

const intentOf = (type: BackupType, repositories: readonly RepositoryName[] = BOTH): BackupIntent => ({
  cluster: 'main',
  type,
  repositories,
});

async function observe(built: FakeCluster, intent: BackupIntent) {
  const ports = readOnlyPorts(new FakeProcess(built.world), built.cluster);
  return observeBackup(built.cluster, intent, ports, { signal: new AbortController().signal });
}

async function steps(type: BackupType, spec: Partial<FakeClusterSpec>) {
  const intent = intentOf(type);
  return planBackup(intent, await observe(buildCluster({ repositories: 2, ...spec }), intent), RUN).steps;
}

describe('the plan of a backup', () => {
  it('takes one in each repository, and the failure of one does not stop the other', async () => {
    expect((await steps('full', {})).map(({ id, onFailure, effect }) => ({ id, onFailure, effect }))).toEqual([
      { id: 'take-backup:local', onFailure: 'continue', effect: 'write' },
      { id: 'take-backup:s3', onFailure: 'continue', effect: 'write' },
    ]);
  });

  it.each(['diff', 'incr'] as const)('takes a full one where a %s has nothing to build on, and says why', async (type) => {
    const [local, s3] = await steps(type, { events: FIRST });
    expect(local).toMatchObject({ type, reason: 'as asked' });
    expect(s3).toMatchObject({ type: 'full', reason: expect.stringContaining('no full backup') });
  });

  it('marks the backup with its run, and leaves out a repository that has it', async () => {
    const built = buildCluster({ repositories: 2 });
    const [local] = built.world.repositories;
    if (local === undefined) throw new Error('no repository');
    takeFakeBackup(local, built.world.history, {
      type: 'full',
      tablespaces: [],
      postgresqlConf: '',
      autoConf: '',
      annotations: { 'spoke-run': RUN },
    });
    const plan = planBackup(intentOf('full'), await observe(built, intentOf('full')), RUN);
    expect(plan.steps.map((step) => step.id)).toEqual(['take-backup:s3']);
    expect(plan.steps[0]).toMatchObject({ runId: RUN });
  });

  it('warns of a repository that could not be read', async () => {
    const built = buildCluster({ repositories: 2 });
    const s3 = built.world.repositories[1];
    if (s3 !== undefined) s3.state = 'down';
    const plan = planBackup(intentOf('full'), await observe(built, intentOf('full')), RUN);
    expect(plan.steps.map((step) => step.id)).toEqual(['take-backup:local']);
    expect(plan.warnings).toEqual([expect.stringContaining('s3')]);
  });

  it('goes into the repository that was asked for alone', async () => {
    const intent = intentOf('full', ['s3' as RepositoryName]);
    expect(planBackup(intent, await observe(buildCluster({ repositories: 2 }), intent), RUN).steps.map((step) => step.id)).toEqual([
      'take-backup:s3',
    ]);
  });
});

describe('the plan of a backup by an engine that copies into several repositories at once', () => {
  const NATIVE: EngineVersion = { name: 'native', version: '15.9', copiesIntoSeveral: true, needsFullOnNewTimeline: true };
  const EACH = [
    { kind: 'backup', repository: 0, type: 'full' },
    { kind: 'backup', repository: 1, type: 'full' },
  ] as const;

  it('reads the database once, and looks afterwards whether it came into the second', async () => {
    const [first, second, ...more] = await steps('full', { engine: NATIVE });
    expect(first).toMatchObject({ repository: 'local', alsoInto: ['s3'], type: 'full' });
    expect(second).toMatchObject({ repository: 's3', unlessThere: true, type: 'full' });
    expect(more).toEqual([]);
  });

  it('reads it for each repository that needs another type', async () => {
    const [local, s3] = await steps('incr', { engine: NATIVE, events: FIRST });
    expect(local).toMatchObject({ repository: 'local', type: 'incr' });
    expect(local).not.toHaveProperty('alsoInto');
    expect(s3).toMatchObject({ repository: 's3', type: 'full' });
    expect(s3).not.toHaveProperty('unlessThere');
  });

  it('reads it for each repository where an incremental would rest on another backup', async () => {
    const [local, s3] = await steps('incr', { engine: NATIVE, events: [...EACH, ...commits(8), FIRST[0]] });
    expect(local).not.toHaveProperty('alsoInto');
    expect(s3).not.toHaveProperty('unlessThere');
  });

  it('takes full ones on a new timeline, and says so', async () => {
    const [first] = await steps('incr', { engine: NATIVE, events: [...EACH, ...commits(3), { kind: 'promotion' }, ...commits(3)] });
    expect(first).toMatchObject({ type: 'full', alsoInto: ['s3'], reason: expect.stringContaining('timeline 2') });
  });

  it('takes a full one where a verification has found damaged what it would be relative to, until that is told sound', async () => {
    const built = buildCluster({ repositories: 2, events: EACH });
    const facts = await observe(built, intentOf('incr'));
    const [local] = facts.repositories.snapshots;
    const { label = '', stopTime = 0n } = local?.backups[0] ?? {};
    const verification = (afterMicros: bigint, entry: object): StoredRun =>
      ({ header: { verb: 'verify' }, entries: [{ ...entry, step: 'verify-repository:local', at: stopTime + afterMicros }] }) as never;
    const damaged = verification(1n, { kind: 'step-failed', code: 'VERIFICATION_FAILED', details: { damagedBackups: [label] } });
    const sound = verification(2n, { kind: 'step-finished' });
    const types = (runs: readonly StoredRun[]) =>
      planBackup(intentOf('incr'), { ...facts, runs }, RUN).steps.map(
        (step) => step.kind === 'take-backup' && [step.repository, step.type, step.reason],
      );
    expect(types([damaged])).toEqual([
      ['local', 'full', `${label} was found damaged: nothing may be relative to it`],
      ['s3', 'incr', 'as asked'],
    ]);
    expect(types([sound, damaged])).toEqual([
      ['local', 'incr', 'as asked'],
      ['s3', 'incr', 'as asked'],
    ]);
  });

  describe('where this PostgreSQL has no incrementals', () => {
    const LACKING = { ...NATIVE, incrementalsFrom: 17 };

    it('takes a full one, and says so', async () => {
      const [first] = await steps('incr', { engine: LACKING, events: EACH });
      expect(first).toMatchObject({ type: 'full', reason: expect.stringContaining('PostgreSQL 15 has no incremental backups') });
    });

    it('takes none where the configuration says so, and names the command for a full one', async () => {
      const built = buildCluster({ repositories: 2, engine: LACKING, events: EACH });
      const facts = { ...(await observe(built, intentOf('incr'))), withoutIncremental: 'nothing' as const };
      expect(planBackup(intentOf('incr'), facts, RUN)).toMatchObject({ steps: [], warnings: [expect.anything(), expect.anything()] });
      expect(reasonAgainstBackup(intentOf('incr'), facts)).toMatchObject({
        code: 'REFUSED_PRECONDITION',
        hint: 'Take a full one: spoke-backup backup --type full --cluster main',
      });
      expect(reasonAgainstBackup(intentOf('full'), facts)).toBeUndefined();
    });
  });
});

describe('a backup is refused', () => {
  async function refusal(spec: Partial<FakeClusterSpec>, spoil: (built: FakeCluster) => void = () => undefined) {
    const built = buildCluster({ repositories: 2, ...spec });
    spoil(built);
    return reasonAgainstBackup(intentOf('full'), await observe(built, intentOf('full')));
  }

  it('not where everything is there', async () => {
    expect(await refusal({})).toBeUndefined();
  });

  it('without a primary, naming what was found', async () => {
    expect(await refusal({ primary: 'stopped' })).toMatchObject({
      code: 'POSTGRES_UNAVAILABLE',
      exitCode: 20,
      message: expect.stringContaining('replica-2'),
    });
  });

  it.each([
    ['down', 'REPOSITORY_UNAVAILABLE'],
    ['denied', 'REPOSITORY_DENIED'],
  ] as const)('where every repository is %s', async (state, code) => {
    const all = (built: FakeCluster) => {
      for (const repository of built.world.repositories) repository.state = state;
    };
    expect(await refusal({}, all)).toMatchObject({ code, exitCode: 21 });
  });

  it('before the repositories are set up, with the command that does', async () => {
    const empty = ({ world }: FakeCluster) => {
      for (const repository of world.repositories) repository.initialised = false;
    };
    expect(await refusal({}, empty)).toMatchObject({
      code: 'REFUSED_PRECONDITION',
      exitCode: 12,
      hint: 'Set it up: spoke-backup setup archiving --cluster main',
    });
  });

  it('into the repository of another cluster', async () => {
    const built = buildCluster({ repositories: 2 });
    const facts = await observe(built, intentOf('full'));
    const [first, ...rest] = facts.repositories.snapshots;
    if (first === undefined) throw new Error('no repository');
    const snapshots = [{ ...first, systemIdentifier: 42n as NonNullable<typeof first.systemIdentifier> }, ...rest];
    expect(reasonAgainstBackup(intentOf('full'), { ...facts, repositories: { ...facts.repositories, snapshots } })).toMatchObject({
      code: 'REFUSED_WRONG_CLUSTER',
      exitCode: 12,
    });
  });

  it('where two nodes accept writes', async () => {
    const facts = await observe(buildCluster({ repositories: 2 }), intentOf('full'));
    const nodes = [...facts.nodes, ...facts.nodes];
    expect(reasonAgainstBackup(intentOf('full'), { ...facts, nodes })).toMatchObject({ code: 'REFUSED_PRECONDITION', exitCode: 12 });
  });
});
