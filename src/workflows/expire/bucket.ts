import type { RepositoryName } from '../../domain/catalog/base-backup.ts';
import { addMicros, type Instant } from '../../domain/time/instant.ts';
import { asSpokeError } from '../../errors.ts';
import type { ReadPorts } from '../../ports/bundle.ts';
import type { MultipartUpload, RetainedVersions } from '../../ports/object-store.ts';
import type { OperationContext } from '../../ports/operation.ts';

/** No backup takes so long: an upload that was begun before is nobody's any more. */
const ORPHANED_AFTER_MICROS = 7n * 86_400_000_000n;

/** What a bucket holds that its repository does not show. */
export type BucketFacts =
  | { readonly orphanedUploads: readonly MultipartUpload[]; readonly retained: RetainedVersions }
  /** Rights that a backup does not need may be missing: then it is not known, which is not the same as none. */
  | { readonly unknown: string };

/** Undefined where the repository is no bucket. */
export async function observeBucket(
  repository: RepositoryName,
  now: Instant,
  ports: ReadPorts,
  { signal }: OperationContext,
): Promise<BucketFacts | undefined> {
  try {
    return await ports.buckets.withBucket(repository, async (bucket, prefixes) => {
      const before = addMicros(now, -ORPHANED_AFTER_MICROS);
      const uploads = await Promise.all(prefixes.map((prefix) => bucket.listMultipartUploads(prefix, before, signal)));
      const retained = await Promise.all(prefixes.map((prefix) => bucket.readRetainedVersions(prefix, signal)));
      return { orphanedUploads: uploads.flat(), retained: retained.reduce(sumOf) };
    });
  } catch (thrown) {
    const error = asSpokeError(thrown);
    if (error.code === 'REPOSITORY_UNAVAILABLE' || error.code === 'REPOSITORY_DENIED') return { unknown: error.message };
    throw error;
  }
}

function sumOf(one: RetainedVersions, other: RetainedVersions): RetainedVersions {
  return {
    noncurrentVersions: one.noncurrentVersions + other.noncurrentVersions,
    noncurrentBytes: one.noncurrentBytes + other.noncurrentBytes,
    deleteMarkers: one.deleteMarkers + other.deleteMarkers,
  };
}
