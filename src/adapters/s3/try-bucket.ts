import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import { instantOfMillis, secondsBetween } from '../../domain/time/instant.ts';
import type { BucketTrial, LockTrial } from '../../ports/object-store.ts';
import type { S3Client } from './client.ts';
import { probeConditionalWrites } from './conditional-write.ts';
import { createHousekeeping } from './housekeeping.ts';
import { checksumOf } from './put-object.ts';
import { isRefused } from './s3-error.ts';

const DAY_MICROS = 86_400_000_000n;
const CANARY = 'What was locked here proves that it is. Written by: spoke-backup config check --online\n';

/**
 * Tries on a small object what repositories rest on: an upload in parts with checksums and encryption, conditional writes, and whether
 * what was written can be destroyed with our own keys. `folder` is where the objects of trials go; what is locked stays there for as long. Throws
 * REPOSITORY_UNAVAILABLE or REPOSITORY_DENIED, also where an upload fails.
 */
export async function tryBucket(s3: S3Client, folder: string, signal: AbortSignal): Promise<BucketTrial> {
  const clockAheadSeconds = await readClock(s3, signal);
  const conditionalWrites = await probeConditionalWrites(s3, folder, signal);
  const key = `${folder}/canary`;
  await upload(s3, key, signal);
  const head = await s3.guarded(signal, (client, options) =>
    client.send(new s3.sdk.HeadObjectCommand({ Bucket: s3.bucket, Key: key }), options),
  );
  const lock = await tryToDestroy(s3, key, head, signal);
  const { ServerSideEncryption: encryptedBy } = head;
  return {
    ...{ conditionalWrites, lock },
    ...(encryptedBy !== undefined && { encryptedBy }),
    ...(clockAheadSeconds !== undefined && { clockAheadSeconds }),
  };
}

/** How far this machine's clock is ahead of the server's, which tells whole seconds. */
async function readClock({ sdk, bucket, timed }: S3Client, signal: AbortSignal): Promise<number | undefined> {
  const request = { Bucket: bucket, MaxKeys: 1 };
  const { serverNow } = await timed(signal, (client, options) => client.send(new sdk.ListObjectsV2Command(request), options));
  return serverNow === undefined ? undefined : secondsBetween(serverNow, instantOfMillis(Date.now()));
}

/** In one part: the last may be as short as it likes. */
async function upload(s3: S3Client, key: string, signal: AbortSignal): Promise<void> {
  const { sdk, bucket, guarded } = s3;
  const object = { Bucket: bucket, Key: key };
  const Body = Buffer.from(CANARY);
  await guarded(signal, async (client, options) => {
    const algorithm = s3.checksums === 'auto' ? { ChecksumAlgorithm: 'CRC32' as const } : {};
    const { UploadId } = await client.send(new sdk.CreateMultipartUploadCommand({ ...object, ...algorithm }), options);
    try {
      const part = { ...object, UploadId, PartNumber: 1, Body, ContentLength: Body.length, ...checksumOf(s3, Body) };
      const { ETag, ChecksumCRC32 } = await client.send(new sdk.UploadPartCommand(part), options);
      const Parts = [{ PartNumber: 1, ETag, ...(ChecksumCRC32 !== undefined && { ChecksumCRC32 }) }];
      await client.send(new sdk.CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts } }), options);
    } catch (thrown) {
      await client.send(new sdk.AbortMultipartUploadCommand({ ...object, UploadId }), options).catch(() => undefined);
      throw thrown;
    }
  });
}

/** Tries to delete that very version, as somebody who wants to destroy backups would with our keys. */
async function tryToDestroy(s3: S3Client, key: string, head: HeadObjectCommandOutput, signal: AbortSignal): Promise<LockTrial> {
  const { sdk, bucket, guarded } = s3;
  const destroy = async (bypass: { readonly BypassGovernanceRetention?: true }) => {
    const version = head.VersionId === undefined || head.VersionId === 'null' ? {} : { VersionId: head.VersionId };
    const request = { Bucket: bucket, Key: key, ...version, ...bypass };
    await guarded(signal, (client, options) => client.send(new sdk.DeleteObjectCommand(request), options));
  };
  if (await isDone(destroy({}))) return { kind: 'none' };
  const lock = await lockOn(s3, head, signal);
  if (lock === undefined) return { kind: 'refused' };
  const canBypass = lock.mode === 'governance' && (await isDone(destroy({ BypassGovernanceRetention: true })));
  return { kind: 'locked', ...lock, canBypass };
}

/** False where it was refused. */
async function isDone(work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (thrown) {
    if (isRefused(thrown)) return false;
    throw thrown;
  }
}

/** By the object itself, or where we may not see that, by the bucket's default. */
async function lockOn(s3: S3Client, head: HeadObjectCommandOutput, signal: AbortSignal) {
  const { ObjectLockMode, ObjectLockRetainUntilDate, LastModified } = head;
  if (ObjectLockMode !== undefined && ObjectLockRetainUntilDate !== undefined && LastModified !== undefined) {
    const from = instantOfMillis(LastModified.getTime());
    const days = Number(instantOfMillis(ObjectLockRetainUntilDate.getTime()) - from) / Number(DAY_MICROS);
    return { mode: ObjectLockMode === 'COMPLIANCE' ? ('compliance' as const) : ('governance' as const), days: Math.round(days) };
  }
  const { objectLock } = await createHousekeeping(s3).readProtection(signal);
  return typeof objectLock === 'object' ? objectLock.defaultRetention : undefined;
}
