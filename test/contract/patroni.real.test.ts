import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSystemClock } from '../../src/adapters/clock/clock.ts';
import { createPatroni } from '../../src/adapters/patroni/adapter.ts';
import type { PatroniAccess } from '../../src/adapters/patroni/api.ts';
import { freePort } from '../harness/free-port.ts';
import { PATRONI_USER, PatroniCluster } from '../harness/patroni.ts';
import { patroniContract } from './patroni.contract.ts';

patroniContract('etcd and Patroni, over TLS', async () => {
  const cluster = await PatroniCluster.start(join(tmpdir(), 'p'), { tls: true, members: 2 });
  const nowhere = cluster.url(await freePort());
  const access = {
    urls: cluster.urls,
    scope: cluster.scope,
    credentials: async () => PATRONI_USER,
    ...(cluster.caFile === undefined ? {} : { caFile: cluster.caFile }),
  };
  const by = (more: Partial<PatroniAccess>) => createPatroni({ access: { ...access, ...more }, clock: createSystemClock() });
  return {
    patroni: by({}),
    stranger: by({ credentials: async () => ({ ...PATRONI_USER, password: 'wrong' }) }),
    nowhere: by({ urls: [nowhere] }),
    second: by({ urls: [nowhere, ...cluster.urls] }),
    other: by({ scope: 'other' }),
    scope: cluster.scope,
    members: cluster.nodes.map(({ name }) => name),
    stopStore: () => cluster.stopEtcd(),
    dispose: () => cluster.stop(),
  };
});
