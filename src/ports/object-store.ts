import type { Instant } from '../domain/time/instant.ts';

/** An upload in parts that was begun and neither completed nor aborted: it is paid for and seen by nobody. */
export interface MultipartUpload {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedAt: Instant;
}

/** What a versioned bucket keeps although it was overwritten or deleted. */
export interface RetainedVersions {
  /** Versions that are not the current one of their key. */
  readonly noncurrentVersions: number;
  readonly noncurrentBytes: bigint;
  readonly deleteMarkers: number;
}

/** `unknown` where we are not allowed to ask, or the server does not know the question. */
export interface BucketProtection {
  readonly versioning: 'enabled' | 'suspended' | 'off' | 'unknown';
  readonly objectLock: ObjectLock | 'off' | 'unknown';
}

export interface ObjectLock {
  /** What every new object gets; absent where nothing is locked by itself. */
  readonly defaultRetention?: { readonly mode: 'governance' | 'compliance'; readonly days: number };
}

/**
 * What a bucket holds that its repository does not show. Listings are whole or fail: REPOSITORY_UNAVAILABLE, REPOSITORY_DENIED.
 * What was not listed is unknown, never missing.
 */
export interface ObjectStoreReader {
  /** Uploads below `prefix` that were begun before `before`. */
  listMultipartUploads(prefix: string, before: Instant, signal: AbortSignal): Promise<readonly MultipartUpload[]>;
  readRetainedVersions(prefix: string, signal: AbortSignal): Promise<RetainedVersions>;
  readProtection(signal: AbortSignal): Promise<BucketProtection>;
}

export interface ObjectStoreWriter {
  /** Frees the space of its parts. Idempotent. */
  abortMultipartUpload(upload: MultipartUpload, signal: AbortSignal): Promise<void>;
}
