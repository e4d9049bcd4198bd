import { buildCluster } from '../fakes/cluster.ts';
import { FakeProcess } from '../fakes/process.ts';
import { fakeRunReader, fakeRunWriter } from '../fakes/state.ts';
import { runStoreContract } from './run-store.contract.ts';

function made<T>(make: (process: FakeProcess) => T) {
  return () => Promise.resolve({ subject: make(new FakeProcess(buildCluster().world)), dispose: () => Promise.resolve() });
}

runStoreContract(
  'the store in memory',
  made((process) => ({ ...fakeRunReader(process), ...fakeRunWriter(process) })),
);
