import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addMicros, instantOfMillis } from '../../src/domain/time/instant.ts';
import type { ObjectStoreReader, ObjectStoreWriter } from '../../src/ports/object-store.ts';

const signal = new AbortController().signal;
const HOUR = 3_600_000_000n;

/** A bucket under test, and what puts something into it. */
export interface BucketSubject {
  readonly store: ObjectStoreReader & ObjectStoreWriter;
  put(key: string, body: string): Promise<void>;
  remove(key: string): Promise<void>;
  /** Begins an upload in parts, with one part, and goes away. */
  beginUpload(key: string): Promise<void>;
  dispose(): Promise<void>;
}

/** What everything that looks at a versioned bucket does. */
export function objectStoreContract(name: string, make: () => Promise<BucketSubject>): void {
  describe(`${name}, as a versioned bucket`, () => {
    let made: BucketSubject;
    beforeEach(async () => {
      made = await make();
    });
    afterEach(() => made.dispose());
    const later = () => addMicros(instantOfMillis(Date.now()), HOUR);
    const earlier = () => addMicros(instantOfMillis(Date.now()), -HOUR);

    it('has nothing to show when it is new', async () => {
      expect(await made.store.listMultipartUploads('', later(), signal)).toEqual([]);
      expect(await made.store.readRetainedVersions('', signal)).toEqual({ noncurrentVersions: 0, noncurrentBytes: 0n, deleteMarkers: 0 });
      expect(await made.store.readProtection(signal)).toEqual({ versioning: 'enabled', objectLock: 'off' });
    });

    it('shows uploads that were begun before an instant, below a prefix, until they are aborted', async () => {
      for (const key of ['main/a', 'main/b', 'other/c']) await made.beginUpload(key);
      expect(await made.store.listMultipartUploads('main/', earlier(), signal)).toEqual([]);
      const uploads = await made.store.listMultipartUploads('main/', later(), signal);
      expect(uploads.map(({ key }) => key)).toEqual(['main/a', 'main/b']);
      for (const upload of [...uploads, ...uploads]) await made.store.abortMultipartUpload(upload, signal);
      expect(await made.store.listMultipartUploads('', later(), signal)).toMatchObject([{ key: 'other/c' }]);
    });

    it('counts what was overwritten or deleted and is still kept', async () => {
      await made.put('main/twice', 'old');
      await made.put('main/twice', 'newer');
      await made.put('main/gone', '0123456789');
      await made.remove('main/gone');
      await made.put('main/once', 'stays');
      await made.put('other/twice', 'old');
      await made.put('other/twice', 'new');
      expect(await made.store.readRetainedVersions('main/', signal)).toEqual({
        noncurrentVersions: 2,
        noncurrentBytes: 13n,
        deleteMarkers: 1,
      });
    });
  });
}
