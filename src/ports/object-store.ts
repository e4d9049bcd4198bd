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

/** What came of trying to destroy a new object with the keys that wrote it. */
export type LockTrial =
  /** It is gone. */
  | { readonly kind: 'none' }
  /** It is still there, for `days` from when it was written. `canBypass`: it was, until it was asked for to bypass the lock. */
  | { readonly kind: 'locked'; readonly mode: 'governance' | 'compliance'; readonly days: number; readonly canBypass: boolean }
  /** It is still there, but nothing was seen that locks it: these keys may not delete. */
  | { readonly kind: 'refused' };

/** What was found by doing it. */
export interface BucketTrial {
  /** `etag`: on creation and on change; `create`: only on creation; `none`. */
  readonly conditionalWrites: { readonly kind: 'etag' } | { readonly kind: 'create' | 'none'; readonly reason: string };
  readonly lock: LockTrial;
  /** How the server says that it has encrypted what was written, in its own words: AES256, aws:kms. Absent: it says nothing. */
  readonly encryptedBy?: string;
  /** How far this machine's clock is ahead of the server's; negative: behind. */
  readonly clockAheadSeconds?: number;
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
