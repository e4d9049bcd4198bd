import { FakeBlobStore } from '../fakes/blob-store.ts';
import { blobStoreContract } from './blob-store.contract.ts';

blobStoreContract('the store in memory', () => {
  const store = new FakeBlobStore();
  return Promise.resolve({
    store,
    leftovers: () => Promise.resolve([...store.unfinished.keys()]),
    leaveUnfinished: (key) => Promise.resolve(void store.unfinished.set(key, store.now())),
    dispose: () => Promise.resolve(),
  });
});
