import { describe, expect, it } from 'vitest';
import type { ClusterConfig, NodeConfig } from '../../../src/config/model.ts';
import { SpokeError } from '../../../src/errors.ts';
import type { ReadPorts } from '../../../src/ports/bundle.ts';
import { decideRestore } from '../../../src/workflows/restore/decide.ts';
import { observeForRestore } from '../../../src/workflows/restore/observe.ts';
import { observeBackup, planBackup } from '../../../src/workflows/backup/plan.ts';
import { observeNodes } from '../../../src/workflows/observe-cluster.ts';
import { observeSetupArchiving, planSetupArchiving } from '../../../src/workflows/setup-archiving/plan.ts';
import { buildCluster, DATA_DIRECTORY, type FakeClusterSpec, NODE } from '../../fakes/cluster.ts';
import { FAKE_ARCHIVING_SETTINGS } from '../../fakes/engine.ts';
import { fakeInstanceReader } from '../../fakes/instance.ts';
import { readOnlyPorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';
import { requestOf } from './restore-world.ts';

const context = { signal: new AbortController().signal };
const SSH = { host: 'db2', port: 22, command: ['spoke-backup'] };
const THERE = { archivingSettings: { archive_mode: 'on', archive_command: 'of db2' }, backupSettings: {}, isConfigurationCurrent: false };

/** The node lives on db2; this host has nothing. `others`: further nodes, `host` what db2 says. */
function elsewhere(
  spec: Partial<FakeClusterSpec> = {},
  { others = [], broken }: { others?: readonly NodeConfig[]; broken?: SpokeError } = {},
) {
  const there = buildCluster(spec);
  const cluster: ClusterConfig = {
    ...there.cluster,
    nodes: [...there.cluster.nodes.map((node) => ({ ...node, ssh: SSH })), ...others],
  };
  const here = buildCluster({ primary: 'gone' });
  const instance = fakeInstanceReader(new FakeProcess(there.world));
  const ports: ReadPorts = {
    ...readOnlyPorts(new FakeProcess(there.world), cluster),
    instance: fakeInstanceReader(new FakeProcess(here.world)),
    hosts: {
      isElsewhere: (place) => place === NODE,
      look: () =>
        broken !== undefined
          ? Promise.reject(broken)
          : Promise.resolve({
              name: 'db2',
              version: '0.1.0',
              hostname: 'db2',
              instance,
              observeEngine: () => Promise.resolve(THERE),
              preview: () => Promise.resolve([]),
            }),
    },
  };
  return { ...there, cluster, ports };
}

const unreachable = new SpokeError('HOST_UNREACHABLE', 'db2 cannot be reached');

describe('a node on another host', () => {
  it('is looked at there', async () => {
    const { cluster, ports } = elsewhere();
    const [node] = await observeNodes(cluster, ports, context);
    expect(node?.directory).toMatchObject({ kind: 'postgres', path: DATA_DIRECTORY });
  });

  it('whose host does not tell is known by what its server says', async () => {
    const { cluster, ports } = elsewhere({}, { broken: unreachable });
    const [node] = await observeNodes(cluster, ports, context);
    expect(node).toMatchObject({ hostFault: 'db2 cannot be reached', server: { inRecovery: false } });
    expect(node?.directory).toBeUndefined();
  });

  it('does not hide that the look was cancelled', async () => {
    const { cluster, ports } = elsewhere({}, { broken: new SpokeError('CANCELLED', 'interrupted') });
    await expect(observeNodes(cluster, ports, context)).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('is restored in place there', async () => {
    const { cluster, ports, ...built } = elsewhere();
    const request = requestOf({ ...built, cluster }, { destination: { kind: 'in-place' } });
    const world = await observeForRestore(request, ports, context);
    expect(world.destination).toMatchObject({ kind: 'postgres', path: DATA_DIRECTORY });
    expect(decideRestore(request, world)).toMatchObject({ inPlaceNode: NODE, dataDirectory: DATA_DIRECTORY, owner: { name: 'postgres' } });
  });

  it('is not restored in place where its host does not answer', async () => {
    const { cluster, ports, ...built } = elsewhere({}, { broken: unreachable });
    const request = requestOf({ ...built, cluster }, { destination: { kind: 'in-place' } });
    await expect(observeForRestore(request, ports, context)).rejects.toMatchObject({ code: 'HOST_UNREACHABLE' });
  });

  it('that is down has WAL that a restore on its own host copies', async () => {
    const { cluster, ports, ...built } = elsewhere({ primary: 'crashed' });
    const request = requestOf({ ...built, cluster }, { destination: { kind: 'in-place' } });
    const intent = decideRestore(request, await observeForRestore(request, ports, context));
    expect(intent.salvageFrom).toBe(DATA_DIRECTORY);
  });

  it('that is down has WAL that a restore on this host cannot copy, and says so', async () => {
    const { cluster, ports, ...built } = elsewhere({ primary: 'crashed' });
    const request = requestOf({ ...built, cluster });
    const intent = decideRestore(request, await observeForRestore(request, ports, context));
    expect(intent.salvageFrom).toBeNull();
    expect(intent.warnings.join()).toContain(`WAL of ${NODE} that never reached the archive is on another host`);
  });

  it('is told from one here with the same data directory', async () => {
    const twin: NodeConfig = { name: 'replica-1', dataDirectory: DATA_DIRECTORY, service: { manager: 'pg_ctl' } };
    const { cluster, ports, ...built } = elsewhere({}, { others: [twin] });
    const request = requestOf({ ...built, cluster }, { destination: { kind: 'in-place', node: 'replica-1' } });
    const world = await observeForRestore(request, ports, context);
    expect(world.destination.kind).toBe('absent');
    expect(decideRestore(request, world)).toMatchObject({ inPlaceNode: 'replica-1', destinationIdentity: null });
  });

  it('is backed up there by pgBackRest, and from here by the native engine', async () => {
    for (const [engine, on] of [
      ['pgbackrest', NODE],
      ['native', undefined],
    ] as const) {
      const { cluster, ports } = elsewhere({ engine: { name: engine, version: '2.45' } });
      const intent = { cluster: 'main', type: 'full', repositories: cluster.repositories.map(({ name }) => name) } as const;
      const { steps } = planBackup(intent, await observeBackup(cluster, intent, ports, context), 'run');
      expect(steps.map((step) => step.on)).toEqual([on]);
    }
  });

  it('is set up with the settings of its host, and what is here is set up here', async () => {
    const { cluster, ports } = elsewhere();
    const engine = { archivingSettings: () => FAKE_ARCHIVING_SETTINGS, backupSettings: () => ({}) };
    const facts = await observeSetupArchiving(cluster, engine, false, ports, context);
    expect(facts.wanted).toMatchObject(THERE.archivingSettings);
    const { steps } = planSetupArchiving({ cluster: 'main', restartAllowed: false }, facts);
    expect(steps.map(({ id, on }) => [id, on])).toEqual([
      ['write-configuration', NODE],
      ['write-configuration:here', undefined],
      ['alter-system', undefined],
      ['reload-configuration', undefined],
      ['check-archiving', NODE],
    ]);
  });
});
