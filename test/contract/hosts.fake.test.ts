import { createStepHandlers } from '../../src/engine/handlers/index.ts';
import { buildCluster, NODE } from '../fakes/cluster.ts';
import { memoryHosts } from '../fakes/hosts.ts';
import { fakePorts } from '../fakes/ports.ts';
import { FakeProcess } from '../fakes/process.ts';
import { POSTGRES_USER } from '../fakes/world.ts';
import { hostsContract, type HostsWorld } from './hosts.contract.ts';

function makeWorld(): Promise<HostsWorld> {
  const { world, cluster } = buildCluster();
  const ports = fakePorts(new FakeProcess(world), cluster);
  const root = '/srv/machine';
  world.fs.makeDirectory(root, POSTGRES_USER);
  const served = { ports, handlers: createStepHandlers(ports), claim: () => Promise.resolve({ release: () => Promise.resolve() }) };
  const hosts = memoryHosts({ [NODE]: { open: () => Promise.resolve(served) } });
  return Promise.resolve({ hosts, there: ports.instance, node: NODE, root, owner: POSTGRES_USER, dispose: () => hosts.close() });
}

hostsContract('the host in memory', makeWorld);
