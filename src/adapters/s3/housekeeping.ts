import type { ObjectLockRule } from '@aws-sdk/client-s3';
import { instantOfMillis } from '../../domain/time/instant.ts';
import type { BucketProtection, MultipartUpload, ObjectLock, ObjectStoreReader, ObjectStoreWriter } from '../../ports/object-store.ts';
import type { S3Client } from './client.ts';
import { httpStatus } from './s3-error.ts';

/** Looks at what a bucket holds that its repository does not show. */
export function createHousekeeping(s3: S3Client): ObjectStoreReader & ObjectStoreWriter {
  return {
    async listMultipartUploads(prefix, before, signal) {
      const uploads = await listUploads(s3, prefix, signal);
      return uploads.filter((upload) => upload.initiatedAt < before);
    },
    readRetainedVersions: (prefix, signal) => countRetained(s3, prefix, signal),
    async readProtection(signal) {
      const versioning = await readVersioning(s3, signal);
      return { versioning, objectLock: await readObjectLock(s3, signal) };
    },
    abortMultipartUpload: (upload, signal) => abortUpload(s3, upload, signal),
  };
}

async function listUploads({ sdk, bucket, guarded }: S3Client, prefix: string, signal: AbortSignal): Promise<MultipartUpload[]> {
  return guarded(signal, async (client, options) => {
    const uploads: MultipartUpload[] = [];
    let from: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {};
    while (from !== undefined) {
      const page: Awaited<ReturnType<typeof request>> = await request(from);
      for (const { Key, UploadId, Initiated } of page.Uploads ?? [])
        if (Key !== undefined && UploadId !== undefined && Initiated !== undefined)
          uploads.push({ key: Key, uploadId: UploadId, initiatedAt: instantOfMillis(Initiated.getTime()) });
      from =
        page.IsTruncated === true
          ? { ...marker('KeyMarker', page.NextKeyMarker), ...marker('UploadIdMarker', page.NextUploadIdMarker) }
          : undefined;
    }
    return uploads;
    function request(markers: { KeyMarker?: string; UploadIdMarker?: string }) {
      return client.send(new sdk.ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix, ...markers }), options);
    }
  });
}

async function countRetained({ sdk, bucket, guarded }: S3Client, prefix: string, signal: AbortSignal) {
  return guarded(signal, async (client, options) => {
    let [noncurrentVersions, noncurrentBytes, deleteMarkers] = [0, 0n, 0];
    let from: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {};
    while (from !== undefined) {
      const page: Awaited<ReturnType<typeof request>> = await request(from);
      for (const { IsLatest, Size = 0 } of page.Versions ?? []) {
        if (IsLatest === true) continue;
        noncurrentVersions += 1;
        noncurrentBytes += BigInt(Size);
      }
      deleteMarkers += page.DeleteMarkers?.length ?? 0;
      from =
        page.IsTruncated === true
          ? { ...marker('KeyMarker', page.NextKeyMarker), ...marker('VersionIdMarker', page.NextVersionIdMarker) }
          : undefined;
    }
    return { noncurrentVersions, noncurrentBytes, deleteMarkers };
    function request(markers: { KeyMarker?: string; VersionIdMarker?: string }) {
      return client.send(new sdk.ListObjectVersionsCommand({ Bucket: bucket, Prefix: prefix, ...markers }), options);
    }
  });
}

/** A list that goes on says from where. */
function marker<Name extends string>(name: Name, value: string | undefined): { [K in Name]?: string } {
  return value === undefined || value === '' ? {} : ({ [name]: value } as { [K in Name]?: string });
}

async function readVersioning({ sdk, bucket, guarded }: S3Client, signal: AbortSignal): Promise<BucketProtection['versioning']> {
  return guarded(signal, async (client, options) => {
    try {
      const { Status } = await client.send(new sdk.GetBucketVersioningCommand({ Bucket: bucket }), options);
      if (Status === undefined) return 'off';
      return Status === 'Enabled' ? 'enabled' : 'suspended';
    } catch (thrown) {
      if (isNoAnswer(thrown)) return 'unknown';
      throw thrown;
    }
  });
}

async function readObjectLock({ sdk, bucket, guarded }: S3Client, signal: AbortSignal): Promise<BucketProtection['objectLock']> {
  return guarded(signal, async (client, options) => {
    try {
      const { ObjectLockConfiguration: found } = await client.send(new sdk.GetObjectLockConfigurationCommand({ Bucket: bucket }), options);
      return found?.ObjectLockEnabled === 'Enabled' ? lockOf(found.Rule) : 'off';
    } catch (thrown) {
      if (thrown instanceof Error && thrown.name === 'ObjectLockConfigurationNotFoundError') return 'off';
      if (isNoAnswer(thrown)) return 'unknown';
      throw thrown;
    }
  });
}

function lockOf(rule: ObjectLockRule | undefined): ObjectLock {
  const { Mode, Days, Years } = rule?.DefaultRetention ?? {};
  if (Mode === undefined) return {};
  const days = Days ?? (Years ?? 0) * 365;
  return { defaultRetention: { mode: Mode === 'COMPLIANCE' ? 'compliance' : 'governance', days } };
}

/** Not allowed to ask, or no such question. */
function isNoAnswer(thrown: unknown): boolean {
  const status = httpStatus(thrown);
  return status === 501 || status === 405 || (thrown instanceof Error && thrown.name === 'AccessDenied');
}

async function abortUpload({ sdk, bucket, guarded }: S3Client, { key, uploadId }: MultipartUpload, signal: AbortSignal): Promise<void> {
  await guarded(signal, async (client, options) => {
    try {
      await client.send(new sdk.AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: uploadId }), options);
    } catch (thrown) {
      if (!(thrown instanceof Error && thrown.name === 'NoSuchUpload')) throw thrown;
    }
  });
}
