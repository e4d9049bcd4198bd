import { httpStatus } from './s3-error.ts';
import type { S3Client } from './client.ts';

/** On what a write depends: that there is no such object yet, or that it is still the one with this ETag. */
export type Condition = { readonly absent: true } | { readonly etag: string };

const FAILED = 412;
/** Another conditional write of the same key was under way: nothing is known but that ours was not done. */
const CONFLICT = 409;
const NOT_FOUND = 404;

/** Writes where the condition holds: the new ETag, or undefined where it does not hold. */
export async function writeIf(
  { sdk, bucket, guarded }: S3Client,
  key: string,
  body: string,
  condition: Condition,
  signal: AbortSignal,
): Promise<string | undefined> {
  return guarded(signal, async (client, options) => {
    const header = 'etag' in condition ? { IfMatch: condition.etag } : { IfNoneMatch: '*' };
    try {
      const { ETag } = await client.send(new sdk.PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ...header }), options);
      return ETag ?? '';
    } catch (thrown) {
      const status = httpStatus(thrown);
      if (status === FAILED || status === CONFLICT) return undefined;
      // If-Match on an object that is gone.
      if (status === NOT_FOUND && 'etag' in condition && isMissingKey(thrown)) return undefined;
      throw thrown;
    }
  });
}

function isMissingKey(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === 'NoSuchKey';
}

/** `etag`: If-None-Match and If-Match both do what they say; `create`: only If-None-Match; `none`: neither, and `reason` says why. */
export type ConditionalWrites =
  | { readonly kind: 'etag' }
  | { readonly kind: 'create'; readonly reason: string }
  | { readonly kind: 'none'; readonly reason: string };

/** Tries them on an object of its own below `prefix`, since servers take conditions that they do not look at. Leaves nothing behind. */
export async function probeConditionalWrites(s3: S3Client, prefix: string, signal: AbortSignal): Promise<ConditionalWrites> {
  const key = `${prefix}/probe-${crypto.randomUUID()}`;
  const write = (body: string, condition: Condition) => writeIf(s3, key, body, condition, signal);
  try {
    const etag = await write('first', { absent: true });
    if (etag === undefined) return { kind: 'none', reason: 'it refuses If-None-Match: * where there is no object' };
    if ((await write('second', { absent: true })) !== undefined)
      return { kind: 'none', reason: 'it overwrites an object in spite of If-None-Match: *' };
    return await probeIfMatch(etag, write);
  } catch (thrown) {
    const reason = refusalOf(thrown);
    if (reason === undefined) throw thrown;
    return { kind: 'none', reason };
  } finally {
    await remove(s3, key, signal);
  }
}

/** Ceph 18 answers 412 to the current ETag, too. */
async function probeIfMatch(
  etag: string,
  write: (body: string, condition: Condition) => Promise<string | undefined>,
): Promise<ConditionalWrites> {
  try {
    if ((await write('third', { etag: '"00000000000000000000000000000000"' })) !== undefined)
      return { kind: 'create', reason: 'it overwrites an object in spite of an If-Match with another ETag' };
    if (etag === '' || (await write('fourth', { etag })) === undefined)
      return { kind: 'create', reason: 'it refuses If-Match with the current ETag' };
    return { kind: 'etag' };
  } catch (thrown) {
    const reason = refusalOf(thrown);
    if (reason === undefined) throw thrown;
    return { kind: 'create', reason };
  }
}

/** Why, where the server says that it does not know the condition. */
function refusalOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const status = httpStatus(thrown.cause);
  return status === 400 || status === 501 ? `it does not know the condition (${thrown.message})` : undefined;
}

async function remove({ sdk, bucket, guarded }: S3Client, key: string, signal: AbortSignal): Promise<void> {
  await guarded(signal, (client, options) => client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: key }), options));
}
