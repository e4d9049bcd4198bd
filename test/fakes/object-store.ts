import type { SpokeError } from '../../src/errors.ts';
import type { Instant } from '../../src/domain/time/instant.ts';
import type { BucketProtection, MultipartUpload, ObjectStoreReader, ObjectStoreWriter } from '../../src/ports/object-store.ts';

interface Version {
  readonly key: string;
  /** undefined: a delete marker. */
  readonly sizeBytes: bigint | undefined;
}

/** A versioned bucket in memory. */
export class FakeBucket implements ObjectStoreReader, ObjectStoreWriter {
  /** Oldest first. */
  readonly versions: Version[] = [];
  readonly uploads: MultipartUpload[] = [];
  protection: BucketProtection = { versioning: 'enabled', objectLock: 'off' };
  /** Thrown by whatever is asked, while it is set. */
  fault: SpokeError | undefined;

  put(key: string, sizeBytes: bigint): void {
    this.versions.push({ key, sizeBytes });
  }

  remove(key: string): void {
    this.versions.push({ key, sizeBytes: undefined });
  }

  beginUpload(key: string, initiatedAt: Instant): void {
    this.uploads.push({ key, uploadId: `upload-${this.uploads.length}`, initiatedAt });
  }

  async listMultipartUploads(prefix: string, before: Instant) {
    return this.#answer(() => this.uploads.filter(({ key, initiatedAt }) => key.startsWith(prefix) && initiatedAt < before));
  }

  async readRetainedVersions(prefix: string) {
    return this.#answer(() => {
      const below = this.versions.filter(({ key }) => key.startsWith(prefix));
      const old = below.filter((one) => one.sizeBytes !== undefined && one !== below.findLast(({ key }) => key === one.key));
      return {
        noncurrentVersions: old.length,
        noncurrentBytes: old.reduce((sum, { sizeBytes = 0n }) => sum + sizeBytes, 0n),
        deleteMarkers: below.filter(({ sizeBytes }) => sizeBytes === undefined).length,
      };
    });
  }

  async readProtection() {
    return this.#answer(() => this.protection);
  }

  async abortMultipartUpload({ uploadId }: MultipartUpload) {
    return this.#answer(() => {
      const index = this.uploads.findIndex((upload) => upload.uploadId === uploadId);
      if (index >= 0) this.uploads.splice(index, 1);
    });
  }

  async #answer<T>(answer: () => T): Promise<T> {
    await Promise.resolve();
    if (this.fault !== undefined) throw this.fault;
    return answer();
  }
}
