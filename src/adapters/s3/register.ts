import type { Instant } from '../../domain/time/instant.ts';
import { SpokeError } from '../../errors.ts';
import { type S3Client, unlessMissing } from './client.ts';
import { type ConditionalWrites, writeIf } from './conditional-write.ts';
import { listObjects } from './object-store.ts';

/** What a register holds. */
export interface RegisterContent {
  /** undefined where nothing was ever written. */
  readonly text?: string;
  /** To be given back when writing. */
  readonly version?: string;
  /** The server's clock. */
  readonly serverNow?: Instant;
}

/** One text that changes only under the eyes of whoever changes it. */
export interface Register {
  read(signal: AbortSignal): Promise<RegisterContent>;
  /** False where it is not the version any more that was read, or that cannot be told: read again. */
  write(text: string, version: string | undefined, signal: AbortSignal): Promise<boolean>;
}

/** The register below `path` by whatever the server can do. Throws REFUSED_PRECONDITION where it cannot do enough. */
export async function openRegister(s3: S3Client, path: string, can: ConditionalWrites, signal: AbortSignal): Promise<Register> {
  if (can.kind === 'none') throw withoutConditionalWrites(s3.place, can.reason);
  // Once it was numbered it stays so: a server that learned If-Match meanwhile must not make two registers of it.
  if (can.kind === 'create' || (await numbersBelow(s3, path, signal)).length > 0) return numberedRegister(s3, path);
  return etagRegister(s3, `${path}.json`);
}

/** Why a bucket cannot hold leases. */
export function withoutConditionalWrites(place: string, reason: string): SpokeError {
  return new SpokeError('REFUSED_PRECONDITION', `${place} cannot hold the lease of several hosts: ${reason}`, {
    hint: 'Let the lease lie in a repository whose service has conditional writes, or remove multiHost and work from one host.',
  });
}

function etagRegister(s3: S3Client, key: string): Register {
  return {
    async read(signal) {
      const { value, serverNow } = await s3.timed(signal, async (client, options) => {
        const answer = await unlessMissing(client.send(new s3.sdk.GetObjectCommand({ Bucket: s3.bucket, Key: key }), options));
        return answer === undefined ? {} : { text: (await answer.Body?.transformToString()) ?? '', version: answer.ETag ?? '' };
      });
      return { ...value, ...(serverNow !== undefined && { serverNow }) };
    },
    write: async (text, version, signal) =>
      (await writeIf(s3, key, text, version === undefined ? { absent: true } : { etag: version }, signal)) !== undefined,
  };
}

const DIGITS = 15;

/**
 * A new object for each version, numbered: whoever creates the next number has written. The highest counts and is never
 * deleted, so a writer that slept while its number was used and deleted finds a higher one afterwards and has written nothing.
 */
function numberedRegister(s3: S3Client, path: string): Register {
  const keyOf = (number: number) => `${path}/${String(number).padStart(DIGITS, '0')}`;
  return {
    async read(signal) {
      for (;;) {
        const { value: numbers, serverNow } = await s3.timed(signal, () => numbersBelow(s3, path, signal));
        const clock = serverNow === undefined ? {} : { serverNow };
        const highest = numbers.at(-1);
        if (highest === undefined) return clock;
        const text = await readText(s3, keyOf(highest), signal);
        if (text !== undefined) return { text, version: String(highest), ...clock };
      }
    },
    async write(text, version, signal) {
      const number = Number(version ?? 0) + 1;
      if ((await writeIf(s3, keyOf(number), text, { absent: true }, signal)) === undefined) return false;
      const numbers = await numbersBelow(s3, path, signal);
      if (numbers.at(-1) !== number) return false;
      await removeAll(s3, numbers.slice(0, -1).map(keyOf), signal);
      return true;
    },
  };
}

async function numbersBelow(s3: S3Client, path: string, signal: AbortSignal): Promise<number[]> {
  const objects = await listObjects(s3, `${path}/`, signal);
  return objects.map(({ key }) => Number(key.slice(path.length + 1))).filter((number) => Number.isSafeInteger(number) && number > 0);
}

async function readText({ sdk, bucket, guarded }: S3Client, key: string, signal: AbortSignal): Promise<string | undefined> {
  return guarded(signal, async (client, options) => {
    const answer = await unlessMissing(client.send(new sdk.GetObjectCommand({ Bucket: bucket, Key: key }), options));
    return answer?.Body?.transformToString();
  });
}

/** Old versions: where one cannot be removed, that is no reason to doubt the write. */
async function removeAll({ sdk, bucket, guarded }: S3Client, keys: readonly string[], signal: AbortSignal): Promise<void> {
  for (const Key of keys) {
    await guarded(signal, (client, options) => client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key }), options)).catch(
      () => undefined,
    );
  }
}
