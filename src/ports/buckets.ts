import type { RepositoryName } from '../domain/catalog/base-backup.ts';
import type { ObjectStoreReader, ObjectStoreWriter } from './object-store.ts';

/** The buckets behind the repositories of a cluster. */
export interface BucketReaders {
  /**
   * Runs `look` with the repository's bucket and the prefixes of what is this cluster's in it; resolves with undefined where the
   * repository is no bucket.
   */
  withBucket<T>(
    repository: RepositoryName,
    look: (bucket: ObjectStoreReader, prefixes: readonly string[]) => Promise<T>,
  ): Promise<T | undefined>;
}

export interface BucketWriters {
  /** As withBucket, to change something in it. */
  changeBucket(repository: RepositoryName, change: (bucket: ObjectStoreWriter) => Promise<void>): Promise<void>;
}
