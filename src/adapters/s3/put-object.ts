import { createHash } from 'node:crypto';
import { SpokeError } from '../../errors.ts';
import type { S3Client } from './client.ts';

/** There is an object; or another conditional write of the same key is under way. */
const NOT_WRITTEN: readonly unknown[] = [412, 409];
/** What servers say to a condition that they do not know. Not every 400: that is also what comes of a slow line. */
const UNKNOWN_CONDITION: readonly unknown[] = ['NotImplemented', 'InvalidArgument', 'InvalidRequest'];

/** An object by one request. */
export function putObject(s3: S3Client, key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  return put(s3, key, bytes, {}, signal);
}

/** The same where there is none yet, else false. Without that condition on a server that does not know it. */
export async function putNewObject(s3: S3Client, key: string, bytes: Uint8Array, signal: AbortSignal): Promise<boolean> {
  try {
    await put(s3, key, bytes, { IfNoneMatch: '*' }, signal);
  } catch (thrown) {
    if (!(thrown instanceof SpokeError)) throw thrown;
    if (NOT_WRITTEN.includes(thrown.details['httpStatus'])) return false;
    if (!UNKNOWN_CONDITION.includes(thrown.details['reason'])) throw thrown;
    await putObject(s3, key, bytes, signal);
  }
  return true;
}

async function put(s3: S3Client, key: string, bytes: Uint8Array, condition: { IfNoneMatch?: '*' }, signal: AbortSignal): Promise<void> {
  const request = { Bucket: s3.bucket, Key: key, Body: bytes, ContentLength: bytes.length, ...condition, ...checksumOf(s3, bytes) };
  await s3.guarded(signal, (client, options) => client.send(new s3.sdk.PutObjectCommand(request), { ...options, ...s3.transfer }));
}

/**
 * By what the server sees that something was changed on the way: CRC32, or where the server may not know that, Content-MD5, which every
 * one does. A bucket with object lock asks for either.
 */
export function checksumOf({ checksums }: S3Client, bytes: Uint8Array): { ChecksumAlgorithm: 'CRC32' } | { ContentMD5: string } {
  return checksums === 'auto' ? { ChecksumAlgorithm: 'CRC32' } : { ContentMD5: createHash('md5').update(bytes).digest('base64') };
}
