import type { CompletedPart } from '@aws-sdk/client-s3';
import { createMemoryPool, type MemoryPool } from '../common/memory-pool.ts';
import { untilAborted } from '../../domain/blob/until-aborted.ts';
import { SpokeError } from '../../errors.ts';
import { cancellation, type S3Client, unlessMissing } from './client.ts';
import { partBytesOf, PARTS_AT_MOST, type PartSizes, partsUnderWay } from './part-sizes.ts';
import { checksumOf, putObject } from './put-object.ts';

/**
 * Writes an object of any length: a short one at once, others by an upload in parts, which is seen as a whole or not at all. Held in memory
 * are the parts under way (32 MiB, or one part where that is more) and the one that is being filled.
 *
 * Not by lib-storage: its parts have one length, so that the longest object must be known beforehand, and it returns before what it
 * aborts is gone.
 */
export async function writeInParts(
  s3: S3Client,
  key: string,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  sizes: PartSizes = 'growing',
): Promise<void> {
  const failure = new AbortController();
  const within = AbortSignal.any([signal, failure.signal]);
  const memory = createMemoryPool();
  const upload = uploadOf(s3, key, within, {
    onSent: ({ bytes }) => {
      memory.give(bytes);
    },
    onFailure: (thrown) => {
      failure.abort(thrown);
    },
  });
  try {
    for await (const part of cutIntoParts(untilAborted(source, within), sizes, memory)) {
      if (part.number === 1 && part.isLast) {
        await putObject(s3, key, part.bytes, signal);
        return;
      }
      await upload.send(part);
    }
    await upload.complete();
  } catch (thrown) {
    await upload.abort();
    throw signal.aborted ? cancellation(signal) : thrown;
  }
}

interface Part {
  readonly number: number;
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
}

/** At least one part, which may be empty. */
async function* cutIntoParts(
  source: AsyncIterable<Uint8Array>,
  sizes: PartSizes,
  memory: MemoryPool,
): AsyncGenerator<Part, void, undefined> {
  let number = 1;
  let bytes = memory.take(partBytesOf(number, sizes));
  let filled = 0;
  for await (const piece of source) {
    for (let offset = 0; offset < piece.length; ) {
      if (filled === bytes.length) {
        yield { number, bytes, isLast: false };
        number += 1;
        bytes = memory.take(partBytesOf(number, sizes));
        filled = 0;
      }
      const taken = piece.subarray(offset, offset + bytes.length - filled);
      bytes.set(taken, filled);
      filled += taken.length;
      offset += taken.length;
    }
  }
  yield { number, bytes: bytes.subarray(0, filled), isLast: true };
}

/** How long an upload that failed may take to be taken away. */
const ABORT_TIMEOUT_MS = 30_000;
/** Tells our upload from every other one of the same key. */
const MARK = 'spoke-backup-upload';

interface Upload {
  /** Resolves when there is room for the next part. */
  send(part: Part): Promise<void>;
  complete(): Promise<void>;
  /** Takes away what was sent, as far as it can be; the rest is for removeUnfinished. */
  abort(): Promise<void>;
}

interface Listener {
  onSent(part: Part): void;
  /** Of a part that could not be sent: aborts the signal. */
  onFailure(thrown: unknown): void;
}

/** One upload in parts, begun with its first. */
function uploadOf(s3: S3Client, key: string, signal: AbortSignal, { onSent, onFailure }: Listener): Upload {
  const { sdk } = s3;
  const object = { Bucket: s3.bucket, Key: key };
  const mark = crypto.randomUUID();
  const sent: CompletedPart[] = [];
  const underWay = new Set<Promise<void>>();
  let uploadId: string | undefined;
  return {
    async send(part) {
      if (part.number > PARTS_AT_MOST) throw tooLong(key, s3.place);
      uploadId ??= await begin();
      const sending = sendPart(part).then(() => onSent(part), onFailure);
      underWay.add(sending);
      void sending.then(() => underWay.delete(sending));
      while (underWay.size >= partsUnderWay(part.bytes.length)) await Promise.race(underWay);
      signal.throwIfAborted();
    },
    async complete() {
      await Promise.all(underWay);
      signal.throwIfAborted();
      const Parts = sent.sort((one, other) => (one.PartNumber ?? 0) - (other.PartNumber ?? 0));
      const request = { ...object, UploadId: uploadId, MultipartUpload: { Parts } };
      try {
        const { ETag } = await s3.guarded(signal, (client, options) =>
          client.send(new sdk.CompleteMultipartUploadCommand(request), { ...options, ...s3.transfer }),
        );
        if (ETag === undefined) throw unanswered(key, s3.place);
      } catch (thrown) {
        // An answer that was lost may have been a yes.
        if (!(await isThere().catch(() => false))) throw thrown;
      }
    },
    async abort() {
      await Promise.all(underWay);
      if (uploadId === undefined) return;
      const within = AbortSignal.timeout(ABORT_TIMEOUT_MS);
      const request = { ...object, UploadId: uploadId };
      await s3
        .guarded(within, (client, options) => client.send(new sdk.AbortMultipartUploadCommand(request), options))
        .catch(() => undefined);
    },
  };

  async function begin(): Promise<string> {
    const request = { ...object, Metadata: { [MARK]: mark }, ...(s3.checksums === 'auto' && { ChecksumAlgorithm: 'CRC32' as const }) };
    const { UploadId } = await s3.guarded(signal, (client, options) => client.send(new sdk.CreateMultipartUploadCommand(request), options));
    if (UploadId === undefined)
      throw new SpokeError('REPOSITORY_UNAVAILABLE', `${s3.place} began an upload of ${key} and gave it no name.`);
    return UploadId;
  }

  async function sendPart({ number, bytes }: Part): Promise<void> {
    const request = {
      ...object,
      UploadId: uploadId,
      PartNumber: number,
      Body: bytes,
      ContentLength: bytes.length,
      ...checksumOf(s3, bytes),
    };
    const { ETag, ChecksumCRC32 } = await s3.guarded(signal, (client, options) =>
      client.send(new sdk.UploadPartCommand(request), { ...options, ...s3.transfer }),
    );
    sent.push({ PartNumber: number, ETag, ...(ChecksumCRC32 !== undefined && { ChecksumCRC32 }) });
  }

  async function isThere(): Promise<boolean> {
    const found = await s3.guarded(signal, (client, options) => unlessMissing(client.send(new sdk.HeadObjectCommand(object), options)));
    return found?.Metadata?.[MARK] === mark;
  }
}

function tooLong(key: string, place: string): SpokeError {
  return new SpokeError('REPOSITORY_UNAVAILABLE', `${key} is too long for one object: ${place} takes ${PARTS_AT_MOST} parts and no more.`);
}

/** A server that fails after it has begun to answer says so within a 200. */
function unanswered(key: string, place: string): SpokeError {
  return new SpokeError('REPOSITORY_UNAVAILABLE', `${place} did not say that ${key}, which was sent in parts, is complete.`);
}
