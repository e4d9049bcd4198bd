import type { RepositoryName } from '../domain/catalog/base-backup.ts';
import type { ObjectStoreReader, ObjectStoreWriter } from './object-store.ts';

/** The buckets behind the repositories of a cluster. */
export interface BucketReaders {
  /** Runs `look` with the repository's bucket, closed afterwards; resolves with undefined where there is none to look into. */
  withBucket<T>(repository: RepositoryName, look: (bucket: ObjectStoreReader, prefix: string) => Promise<T>): Promise<T | undefined>;
}

export interface BucketWriters {
  /** As withBucket, to change something in it. */
  changeBucket(repository: RepositoryName, change: (bucket: ObjectStoreWriter) => Promise<void>): Promise<void>;
}
