import { setTimeout as sleep } from 'node:timers/promises';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { SpokeError } from '../../errors.ts';
import { cancellation, type S3Client, unlessNoKey } from './client.ts';
import { httpStatus } from './s3-error.ts';

/** How often in a row a cut connection is made again without a single byte coming of it. */
const ATTEMPTS_WITHOUT_PROGRESS = 6;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;
const PRECONDITION_FAILED = 412;

/** An object as it comes, mended where the connection is cut; undefined where there is none. */
export async function openObject(s3: S3Client, key: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined> {
  const answer = await s3.guarded(signal, (client, options) =>
    unlessNoKey(client.send(new s3.sdk.GetObjectCommand({ Bucket: s3.bucket, Key: key }), options)),
  );
  if (answer === undefined) return undefined;
  const { ContentLength: sizeBytes, ETag: etag } = answer;
  if (sizeBytes === undefined || etag === undefined)
    throw new SpokeError('REPOSITORY_UNAVAILABLE', `${s3.place} does not say how long ${key} is, or which version of it this is.`);
  return wholeObject(s3, { key, sizeBytes, etag }, answer, signal);
}

/** What is read: this version of the object and no other. */
interface ObjectVersion {
  readonly key: string;
  readonly sizeBytes: number;
  readonly etag: string;
}

async function* wholeObject(
  s3: S3Client,
  version: ObjectVersion,
  first: GetObjectCommandOutput,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let answer = first;
  let offset = 0;
  let attempts = 0;
  for (;;) {
    let cause: unknown;
    try {
      for await (const piece of (answer.Body ?? []) as AsyncIterable<Uint8Array>) {
        offset += piece.length;
        attempts = 0;
        yield piece;
      }
      if (offset === version.sizeBytes) return;
    } catch (thrown) {
      cause = thrown;
    }
    if (signal.aborted) throw cancellation(signal);
    attempts += 1;
    // All that came and an error nevertheless: its checksum is wrong.
    if (offset >= version.sizeBytes || attempts > ATTEMPTS_WITHOUT_PROGRESS) throw cutOff(s3, version, offset, cause);
    await pause(attempts, signal);
    answer = await readOn(s3, version, offset, signal);
  }
}

/** Between half and all of a time that doubles. */
async function pause(attempts: number, signal: AbortSignal): Promise<void> {
  const longestMs = Math.min(FIRST_PAUSE_MS * 2 ** (attempts - 1), LONGEST_PAUSE_MS);
  await sleep(longestMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {
    throw cancellation(signal);
  });
}

/** The rest of that very version. Some servers ignore If-Match, so the answer is looked at, too. */
async function readOn(s3: S3Client, { key, sizeBytes, etag }: ObjectVersion, offset: number, signal: AbortSignal) {
  const request = { Bucket: s3.bucket, Key: key, Range: `bytes=${offset}-`, IfMatch: etag };
  const answer = await s3.guarded(signal, (client, options) =>
    unlessNoKey(client.send(new s3.sdk.GetObjectCommand(request), options)).catch((thrown: unknown) => {
      if (httpStatus(thrown) === PRECONDITION_FAILED) return undefined;
      throw thrown;
    }),
  );
  if (answer === undefined) throw replaced(s3, key);
  if (answer.ETag === etag && answer.ContentRange === `bytes ${offset}-${sizeBytes - 1}/${sizeBytes}`) return answer;
  await drop(answer);
  throw replaced(s3, key);
}

async function drop({ Body }: GetObjectCommandOutput): Promise<void> {
  for await (const _piece of (Body ?? []) as AsyncIterable<Uint8Array>) break;
}

function replaced({ place }: S3Client, key: string): SpokeError {
  const message = `${key} in ${place} was replaced or removed while it was read, or the server cannot read on in its middle.`;
  return new SpokeError('REPOSITORY_UNAVAILABLE', message, { hint: 'Repeat the command: it reads what is there now.' });
}

function cutOff({ place }: S3Client, { key, sizeBytes }: ObjectVersion, offset: number, cause: unknown): SpokeError {
  const why = cause instanceof Error ? cause.message : 'the connection was closed';
  return new SpokeError('REPOSITORY_UNAVAILABLE', `Only ${offset} of ${sizeBytes} bytes of ${key} in ${place} could be read: ${why}`, {
    details: { key, sizeBytes, offset },
    cause,
  });
}
