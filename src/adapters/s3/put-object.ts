import { createHash } from 'node:crypto';
import type { S3Client } from './client.ts';

/** An object by one request. */
export async function putObject(s3: S3Client, key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  const request = { Bucket: s3.bucket, Key: key, Body: bytes, ContentLength: bytes.length, ...checksumOf(s3, bytes) };
  await s3.guarded(signal, (client, options) => client.send(new s3.sdk.PutObjectCommand(request), { ...options, ...s3.transfer }));
}

/**
 * By what the server sees that something was changed on the way: CRC32, or where the server may not know that, Content-MD5, which every
 * one does. A bucket with object lock asks for either.
 */
export function checksumOf({ checksums }: S3Client, bytes: Uint8Array): { ChecksumAlgorithm: 'CRC32' } | { ContentMD5: string } {
  return checksums === 'auto' ? { ChecksumAlgorithm: 'CRC32' } : { ContentMD5: createHash('md5').update(bytes).digest('base64') };
}
