import { formatLsn } from '../../../src/domain/postgres/lsn.ts';
import { addMicros } from '../../../src/domain/time/instant.ts';
import { buildCluster } from '../../fakes/cluster.ts';
import { fakeCatalogReader, fakeEngine } from '../../fakes/engine.ts';
import { FakeProcess } from '../../fakes/process.ts';
import { takeFakeBackup } from '../../fakes/repository.ts';
import { describeExpiry } from './expiry.contract.ts';

const MICROS_PER_DAY = 86_400_000_000n;

describeExpiry('the fake engine letting backups go', async () => {
  const { world } = buildCluster({ events: [] });
  const [repository] = world.repositories;
  if (repository === undefined) throw new Error('no repository');
  const { history } = world;
  const end = addMicros(history.time, 41n * MICROS_PER_DAY);
  for (const [days, type] of [
    [40, 'full'],
    [38, 'incr'],
    [20, 'full'],
    [18, 'incr'],
    [9, 'full'],
    [1, 'incr'],
  ] as const) {
    history.time = addMicros(end, -BigInt(days) * MICROS_PER_DAY);
    takeFakeBackup(repository, history, { type, tablespaces: [], postgresqlConf: '', autoConf: '', annotations: {} });
    for (let commit = 0; commit < 6; commit += 1) history.commit();
    history.switchSegment();
    repository.archiveEverything();
  }
  world.advance(41 * 86_400_000);
  const process = new FakeProcess(world);
  return {
    ...{ reader: fakeCatalogReader(process), engine: fakeEngine(process), repository: repository.name },
    now: () => world.now(),
    fingerprint: async () =>
      JSON.stringify([
        repository.backups.map(({ backup }) => [backup.label, formatLsn(backup.startLsn), backup.annotations]),
        [...repository.segments.keys()],
      ]),
    dispose: async () => undefined,
  };
});
