import { FakeBouncer, fakeConsole } from '../fakes/setup.ts';
import { pgbouncerContract } from './pgbouncer.contract.ts';

pgbouncerContract('the fake', async () => {
  const bouncer = new FakeBouncer(['app']);
  return {
    console: fakeConsole(new Map([['here', bouncer]])),
    adminUrl: 'here',
    nowhere: 'nowhere',
    database: 'app',
    configure: async (databases) => void (bouncer.configured = databases),
    openTransaction: async () => {
      bouncer.inUse.add('app');
      return async () => {
        if (!bouncer.inUse.delete('app')) throw new Error('the connection was closed');
      };
    },
    dispose: async () => undefined,
  };
});
