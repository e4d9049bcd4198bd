import { buildCluster } from '../fakes/cluster.ts';
import { POSTGRES_MAJOR, writeDataDirectory } from '../fakes/data-directory.ts';
import { fakeInstanceControl, fakeInstanceReader } from '../fakes/instance.ts';
import { FakeProcess } from '../fakes/process.ts';
import { POSTGRES_USER } from '../fakes/world.ts';
import { instanceContract, type MachineWorld } from './instance.contract.ts';

function makeMachine(): Promise<MachineWorld> {
  const { world } = buildCluster({ primary: 'gone' });
  const process = new FakeProcess(world);
  const root = '/srv/machine';
  world.fs.makeDirectory(root, POSTGRES_USER);
  return Promise.resolve({
    reader: fakeInstanceReader(process),
    control: fakeInstanceControl(process),
    context: { signal: process.signal },
    root,
    owner: POSTGRES_USER,
    major: POSTGRES_MAJOR,
    initialise(dataDirectory) {
      writeDataDirectory(world.fs, dataDirectory, {
        control: { systemIdentifier: '7', state: 'shut down', timeline: 1, redo: '0/1000028', consistentAt: '0/1000028' },
        content: { lsn: '0/1000028', timeline: 1 },
        owner: POSTGRES_USER,
        postgresqlConf: '',
      });
      return Promise.resolve();
    },
    dispose: () => Promise.resolve(),
  });
}

instanceContract('the machine in memory', makeMachine);
