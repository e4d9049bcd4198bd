import { describe, expect, it } from 'vitest';
import { settingChanges } from '../../../src/domain/setup/server-settings.ts';
import type { SystemIdentifier } from '../../../src/domain/postgres/system-identifier.ts';
import { timelineIdOf } from '../../../src/domain/postgres/timeline.ts';
import type { ServerObservation } from '../../../src/ports/postgres-server.ts';
import { observeNodes, onlyPrimary } from '../../../src/workflows/observe-cluster.ts';
import { observeStandbyArchive, ownCommandWarning } from '../../../src/workflows/setup-cluster/standby-archive.ts';
import { buildCluster, type FakeClusterSpec } from '../../fakes/cluster.ts';
import { readOnlyPorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';

const CONTEXT = { signal: new AbortController().signal };
/** What another process of ours would have written there, by what the repository is called. */
const engine = { standbySettings: (repository: string) => ({ restore_command: `get ${repository}` }) };

/** How a standby of the fake cluster would fetch WAL; `changes`: of what its primary says. */
async function observed(spec: Partial<FakeClusterSpec> = {}, changes: Partial<ServerObservation> = {}, down: string[] = []) {
  const { world, cluster } = buildCluster({ repositories: 2, ...spec });
  const ports = readOnlyPorts(new FakeProcess(world), cluster);
  const primary = onlyPrimary(await observeNodes(cluster, ports, CONTEXT));
  if (primary === undefined) throw new Error('no primary');
  for (const one of world.repositories) if (down.includes(one.name)) one.state = 'down';
  return observeStandbyArchive(cluster, { ...primary.server, ...changes }, engine, ports, CONTEXT);
}

const changed = ({ settings }: Awaited<ReturnType<typeof observed>>, value: string) =>
  settingChanges([{ name: 'restore_command', value, bootValue: '' }], settings).map((one) => one.value);

describe('the restore_command of a standby that is set up', () => {
  it('asks the first repository that has WAL of the cluster', async () => {
    const archive = await observed();
    expect(archive).toMatchObject({ settings: [{ name: 'restore_command', value: 'get local' }], warnings: [] });
    expect(changed(archive, '')).toEqual(['get local']);
  });

  it('stays where it asks another repository, and, with a warning, where it is none of ours', async () => {
    const archive = await observed();
    const shown = (value: string) => [
      { name: 'restore_command', value, bootValue: '', type: 'string', needsRestart: false, pendingRestart: false },
    ];
    for (const value of ['get local', 'get s3', 'cp /mnt/%f %p']) expect(changed(archive, value)).toEqual([]);
    expect(['', 'get s3'].flatMap((value) => ownCommandWarning(archive, shown(value)))).toEqual([]);
    expect(ownCommandWarning(archive, shown('cp /mnt/%f %p'))).toEqual([expect.stringContaining('cp /mnt/%f %p')]);
  });

  it('asks the next one where the first cannot be read, and says so', async () => {
    const archive = await observed({}, {}, ['local']);
    expect(archive.settings).toMatchObject([{ value: 'get s3' }]);
    expect(archive.warnings).toEqual([expect.stringContaining('repository local could not be read')]);
  });

  it.each([
    ['of another cluster', { systemIdentifier: 1n as SystemIdentifier }],
    // The standby would leave its primary for it.
    ['with a timeline that the primary is not on', { timeline: timelineIdOf(1) }],
  ])('is left out, with a warning, where the archives are %s', async (_what, changes) => {
    const archive = await observed({ events: [{ kind: 'commit' }, { kind: 'promotion' }, { kind: 'commit' }] }, changes);
    expect(archive.settings).toEqual([]);
    expect(archive.warnings).toEqual([expect.stringContaining('restore_command is not set')]);
  });
});
