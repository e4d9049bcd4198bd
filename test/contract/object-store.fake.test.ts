import { instantOfMillis } from '../../src/domain/time/instant.ts';
import { FakeBucket } from '../fakes/object-store.ts';
import { objectStoreContract } from './object-store.contract.ts';

objectStoreContract('the bucket in memory', () => {
  const store = new FakeBucket();
  return Promise.resolve({
    store,
    put: (key, body) => Promise.resolve(store.put(key, BigInt(body.length))),
    remove: (key) => Promise.resolve(store.remove(key)),
    beginUpload: (key) => Promise.resolve(store.beginUpload(key, instantOfMillis(Date.now()))),
    dispose: () => Promise.resolve(),
  });
});
