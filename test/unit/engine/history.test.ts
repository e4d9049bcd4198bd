import { describe, expect, it } from 'vitest';
import type { BaseBackup } from '../../../src/domain/catalog/base-backup.ts';
import { formatInstantIso } from '../../../src/domain/time/instant.ts';
import { keepWithinBounds, rebuildHistory } from '../../../src/engine/history.ts';
import type { RunId } from '../../../src/ports/run-store.ts';
import { endOf } from '../../../src/workflows/runs/judge.ts';
import { buildCluster } from '../../fakes/cluster.ts';
import { fakePorts, readOnlyPorts } from '../../fakes/ports.ts';
import { FakeProcess } from '../../fakes/process.ts';
import { takeFakeBackup } from '../../fakes/repository.ts';
import { headerOf, runIdOf } from '../../contract/run-store.contract.ts';

const RUN = '20261122T211628Z-backup-aaaa';
const signal = new AbortController().signal;

/** A cluster whose repositories hold backups of the given runs. */
function begin(...taken: readonly { repository: number; run: string }[]) {
  const { world, cluster } = buildCluster({ repositories: 2 });
  const backups: BaseBackup[] = [];
  for (const { repository, run } of taken) {
    const annotations = run === '' ? {} : { 'spoke-run': run };
    const what = { type: 'full', tablespaces: [], postgresqlConf: '', autoConf: '', annotations } as const;
    backups.push(takeFakeBackup(world.repositories[repository]!, world.history, what));
  }
  const process = new FakeProcess(world);
  const ports = fakePorts(process, cluster);
  const snapshots = () =>
    Promise.all(cluster.repositories.map(({ name }) => ports.catalog.readRepository(name, { walArchive: false }, { signal })));
  const rebuild = async () => rebuildHistory(ports, 'main', await snapshots());
  return { world, cluster, process, ports, rebuild, backups };
}

describe('a history that was lost', () => {
  it('is rebuilt from the backups: one run for each that took some, with its labels, its time and its end', async () => {
    const { ports, rebuild, backups } = begin({ repository: 0, run: RUN }, { repository: 1, run: RUN });
    expect((await rebuild()).rebuilt).toEqual([RUN]);
    const run = await ports.runs.read(runIdOf(RUN));
    expect(run.header).toMatchObject({ verb: 'backup', cluster: 'main', intent: { type: 'full', repositories: ['local', 's3'] } });
    expect(formatInstantIso(run.header.startedAt)).toBe('2026-11-22T21:16:28.000000Z');
    expect(endOf(run)).toMatchObject({ outcome: 'succeeded', at: backups[1]?.stopTime });
    expect(run.entries.filter((entry) => entry.kind === 'step-finished')).toMatchObject([
      { step: 'take-backup:local', at: backups[0]?.stopTime, result: { repository: 'local', label: backups[0]?.label } },
      { step: 'take-backup:s3', at: backups[1]?.stopTime, result: { repository: 's3', label: backups[1]?.label } },
    ]);
  });

  it('leaves what is known as it is, and has nothing to do the second time', async () => {
    const { ports, rebuild } = begin({ repository: 0, run: RUN }, { repository: 0, run: '20261122T211629Z-backup-bbbb' });
    await ports.runWriter.create({ ...headerOf(RUN), verb: 'backup' });
    expect((await rebuild()).rebuilt).toEqual(['20261122T211629Z-backup-bbbb']);
    expect((await ports.runs.read(runIdOf(RUN))).entries).toEqual([]);
    expect((await rebuild()).rebuilt).toEqual([]);
  });

  it.each(['', '../../etc/passwd', 'x; rm -rf /', '20261122T211628Z-restore-aaaa', '20261322T211628Z-backup-aaaa\n'])(
    'passes over a backup that is annotated with %j',
    async (run) => {
      expect((await begin({ repository: 0, run }).rebuild()).rebuilt).toEqual([]);
    },
  );

  it('is rebuilt in the end wherever the first try was cut off', async () => {
    const taken = [{ repository: 0, run: RUN }] as const;
    const whole = begin(...taken);
    await whole.rebuild();
    const points = whole.process.passed.length;
    expect(points).toBeGreaterThan(3);
    for (let point = 1; point <= points; point += 1) {
      const { world, cluster, rebuild, ports } = begin(...taken);
      const dying = fakePorts(new FakeProcess(world, { disturbances: new Map([[point, { kind: 'crash', moment: 'during' }]]) }), cluster);
      const snapshot = await ports.catalog.readRepository(cluster.repositories[0]!.name, { walArchive: false }, { signal });
      await expect(rebuildHistory(dying, 'main', [snapshot])).rejects.toThrow();
      await rebuild();
      expect(endOf(await ports.runs.read(runIdOf(RUN)))?.outcome).toBe('succeeded');
    }
  });
});

describe('a bounded history', () => {
  const bounds = { keepRuns: 10, keepDays: 30 };

  it('is not written to while it is small and young', async () => {
    const { ports, world, cluster } = begin();
    await ports.runWriter.create({ ...headerOf(RUN, world.now()), verb: 'backup' });
    expect(await keepWithinBounds(readOnlyPorts(new FakeProcess(world), cluster), bounds)).toEqual([]);
  });

  it('loses its oldest runs, which had ended', async () => {
    const { ports, world } = begin();
    const ids = Array.from({ length: 14 }, (_, index) => `20261122T2116${10 + index}Z-backup-aaaa` as RunId);
    for (const runId of ids) {
      await ports.runWriter.create({ ...headerOf(runId, world.now()), verb: 'backup', intent: {} });
      if (runId !== ids[1])
        await ports.runWriter.append(runId, { at: world.now(), kind: 'run-finished', outcome: 'succeeded', result: {} });
    }
    expect(await keepWithinBounds(ports, bounds)).toEqual([ids[3], ids[2], ids[0]]);
    expect(await ports.runs.listIds()).toHaveLength(11);
  });
});
