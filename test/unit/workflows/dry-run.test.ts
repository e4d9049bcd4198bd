import { describe, expect, it } from 'vitest';
import { previewStep } from '../../../src/cli/render/plan.ts';
import type { BackupLabel, RepositoryName } from '../../../src/domain/catalog/base-backup.ts';
import type { RecoveryTarget } from '../../../src/domain/recovery/target.ts';
import { createStepHandlers } from '../../../src/engine/handlers/index.ts';
import { setupArchivingWorkflow, verifyWorkflow } from '../../../src/engine/simple-workflows.ts';
import type { Plan } from '../../../src/plan/step.ts';
import type { RunId } from '../../../src/ports/run-store.ts';
import { observeExpire } from '../../../src/workflows/expire/facts.ts';
import { planExpire } from '../../../src/workflows/expire/plan.ts';
import { observePin, planPin } from '../../../src/workflows/pin/plan.ts';
import { observeBackup, planBackup } from '../../../src/workflows/backup/plan.ts';
import { decideRestore } from '../../../src/workflows/restore/decide.ts';
import { observeRestore } from '../../../src/workflows/restore/facts.ts';
import { observeForRestore } from '../../../src/workflows/restore/observe.ts';
import { planRestore } from '../../../src/workflows/restore/plan.ts';
import type { RestoreRequest } from '../../../src/workflows/restore/request.ts';
import { agedEvents, buildCluster, type FakeCluster, type FakeClusterSpec, NODE } from '../../fakes/cluster.ts';
import { readOnlyPorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';
import { headerOf } from '../../simulation/restore-run.ts';

const RUN_ID = '20261122T211628Z-restore-k3f9' as RunId;
/** Three full backups, of which the first is no longer needed. */
const AGED = { events: agedEvents([20, 9, 1]) };
const context = { signal: new AbortController().signal };

/** The cluster as a process sees it whose every attempt to change something throws. */
function frozen(changes: Partial<FakeClusterSpec> = {}) {
  const built = buildCluster(changes);
  const process = new FakeProcess(built.world);
  const ports = readOnlyPorts(process, built.cluster);
  const preview = (plan: Plan) => plan.steps.map((step) => ({ kind: step.kind, commands: previewStep(step, createStepHandlers(ports)) }));
  return { built, process, ports, preview };
}

type Frozen = ReturnType<typeof frozen>;

async function dryRunRestore({ built, ports, preview }: Frozen, changes: Partial<RestoreRequest>) {
  const request: RestoreRequest = {
    cluster: built.cluster,
    target: { kind: 'latest' },
    timeline: 'latest',
    destination: { kind: 'directory', path: '/srv/restored' },
    targetAction: 'promote',
    tablespaceMap: new Map(),
    start: true,
    discardOld: false,
    suffix: 'k3f9',
    ...changes,
  };
  const intent = decideRestore(request, await observeForRestore(request, ports, context));
  const facts = await observeRestore(intent, { header: headerOf(intent), entries: [] }, ports, context);
  return preview(planRestore(intent, facts, RUN_ID));
}

function lastCommitOf({ world }: FakeCluster): RecoveryTarget {
  return { kind: 'time', time: world.now(), inclusive: false };
}

describe('a dry run', () => {
  it('of the ports that it is given really throws where something would be changed', () => {
    const { ports } = frozen();
    expect(() => ports.engine.writeConfiguration()).toThrow('a dry run called engine.writeConfiguration');
    expect(() => ports.runWriter.append(RUN_ID, { at: ports.clock.now(), kind: 'attempt', pid: 1, detail: {} })).toThrow(
      'a dry run called',
    );
  });

  it.each<[string, (one: Frozen) => Partial<RestoreRequest>]>([
    ['to the end', () => ({})],
    ['to an instant', ({ built }) => ({ target: lastCommitOf(built) })],
    ['to a restore point', () => ({ target: { kind: 'name', name: 'before-release' } })],
    ['to a transaction', () => ({ target: { kind: 'xid', xid: 741n, inclusive: true } })],
    ['to the end of the backup', () => ({ target: { kind: 'immediate' }, targetAction: 'pause' })],
    ['in place, with the old data discarded', () => ({ destination: { kind: 'in-place', node: NODE }, discardOld: true })],
    ['without a start', () => ({ start: false })],
    ['from a named repository', ({ built }) => ({ repository: built.cluster.repositories[0]?.name as RepositoryName })],
  ])('of a restore %s changes nothing and shows a command for every step that does', async (_what, request) => {
    const one = frozen();
    const shown = await dryRunRestore(one, request(one));
    expect(shown.map((step) => step.kind)).toContain('swap-data-directory');
    expect(shown.filter((step) => step.commands.length === 0)).toEqual([]);
    expect(one.process.passed).toEqual([]);
  });

  it('of a restore of a crashed primary shows which WAL it would save', async () => {
    const one = frozen({ primary: 'crashed', archiverFailsFrom: 12 });
    const shown = await dryRunRestore(one, { destination: { kind: 'in-place', node: NODE } });
    expect(shown.map((step) => step.kind)).toContain('salvage-wal');
    expect(one.process.passed).toEqual([]);
  });

  it('of a backup changes nothing and shows one command a repository', async () => {
    const one = frozen({ repositories: 2 });
    const intent = {
      cluster: one.built.cluster.name,
      type: 'incr',
      repositories: one.built.cluster.repositories.map(({ name }) => name),
    } as const;
    const facts = await observeBackup(one.built.cluster, intent, one.ports, context);
    const shown = one.preview(planBackup(intent, facts, RUN_ID));
    expect(shown.map((step) => [step.kind, step.commands.length])).toEqual([
      ['take-backup', 1],
      ['take-backup', 1],
    ]);
    expect(one.process.passed).toEqual([]);
  });

  it('of an expiry changes nothing and shows a command for every step', async () => {
    const one = frozen(AGED);
    const { name, repositories } = one.built.cluster;
    const intent = {
      ...{ cluster: name, confirmed: false, decidedAtMicros: String(one.ports.clock.now()) },
      repositories: repositories.map((repository) => repository.name),
    };
    const shown = one.preview(planExpire(intent, await observeExpire(one.built.cluster, intent, one.ports, context)));
    expect(shown.map((step) => [step.kind, step.commands.length])).toEqual([
      ['expire-backup', 1],
      ['expire-wal', 1],
    ]);
    expect(one.process.passed).toEqual([]);
  });

  it('of a pin changes nothing and shows where it would be noted', async () => {
    const one = frozen();
    const label = one.built.world.repositories[0]?.backups[0]?.backup.label as BackupLabel;
    const repositories = one.built.cluster.repositories.map((repository) => repository.name);
    const intent = { cluster: one.built.cluster.name, label, repositories, pin: { until: 'forever', reason: 'audit' } };
    const shown = one.preview(planPin(intent, await observePin(one.built.cluster, intent, one.ports, context)));
    expect(shown.map((step) => [step.kind, step.commands.length])).toEqual([
      ['save-pin', 1],
      ['annotate-backup', 1],
    ]);
    expect(one.process.passed).toEqual([]);
  });

  it('of a verification changes nothing, and shows that the configuration would be written where it is not up to date', async () => {
    const one = frozen({ repositories: 2 });
    one.built.world.configurationIsCurrent = false;
    const workflow = verifyWorkflow(one.built.cluster, one.ports);
    const intent = { cluster: one.built.cluster.name, repositories: one.built.cluster.repositories.map(({ name }) => name) };
    const run = { header: { ...headerOf({} as never), intent }, entries: [] };
    const shown = one.preview(workflow.plan(intent, await workflow.observe(intent, run, context), RUN_ID));
    expect(shown.map((step) => [step.kind, step.commands.length])).toEqual([
      ['write-configuration', 1],
      ['verify-repository', 1],
      ['verify-repository', 1],
    ]);
    expect(one.process.passed).toEqual([]);
  });

  it('of setting up the archive changes nothing', async () => {
    const one = frozen();
    const workflow = setupArchivingWorkflow(one.built.cluster, one.ports);
    const intent = { cluster: one.built.cluster.name, restartAllowed: false };
    const run = { header: { ...headerOf({} as never), intent }, entries: [] };
    const shown = one.preview(workflow.plan(intent, await workflow.observe(intent, run, context), RUN_ID));
    expect(shown.map((step) => step.kind)).toContain('check-archiving');
    expect(one.process.passed).toEqual([]);
  });
});
