import { FakePatroni, fakePatroniPorts } from '../fakes/patroni.ts';
import { patroniContract } from './patroni.contract.ts';

patroniContract('the fake', async () => {
  const members = ['a', 'b', 'c'];
  const fake = new FakePatroni('lab', members);
  const right = { scope: 'lab', mayChange: true, isThere: true };
  return {
    patroni: fakePatroniPorts(fake),
    stranger: fakePatroniPorts(fake, { ...right, mayChange: false }),
    nowhere: fakePatroniPorts(fake, { ...right, isThere: false }),
    second: fakePatroniPorts(fake),
    other: fakePatroniPorts(fake, { ...right, scope: 'other' }),
    scope: 'lab',
    members,
    stopStore: async () => void (fake.storeIsAway = true),
    dispose: async () => undefined,
  };
});
