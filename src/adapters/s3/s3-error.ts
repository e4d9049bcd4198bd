import { SpokeError } from '../../errors.ts';

const DENIED = new Set(['AccessDenied', 'InvalidAccessKeyId', 'SignatureDoesNotMatch', 'AllAccessDisabled', 'Forbidden']);
const SKEWED = new Set(['RequestTimeTooSkewed', 'RequestExpired']);

/** What the SDK threw, as REPOSITORY_DENIED (keys, rights, clock) or REPOSITORY_UNAVAILABLE (everything else). */
export function translateS3Error(cause: unknown, endpoint: string, bucket: string): SpokeError {
  if (cause instanceof SpokeError) return cause;
  const name = cause instanceof Error ? cause.name : 'Error';
  const status = httpStatus(cause);
  const reason = cause instanceof Error ? cause.message : String(cause);
  const isSkewed = SKEWED.has(name);
  const isDenied = isSkewed || DENIED.has(name) || status === 401 || status === 403;
  const what = isSkewed ? "refuses us, since this machine's clock and its own differ" : isDenied ? 'refuses us' : 'cannot be used';
  const why = reason === name || reason === '' ? name : `${name}: ${reason}`;
  return new SpokeError(isDenied ? 'REPOSITORY_DENIED' : 'REPOSITORY_UNAVAILABLE', `The bucket ${bucket} at ${endpoint} ${what}: ${why}`, {
    details: { endpoint, bucket, reason: name, ...(status !== undefined && { httpStatus: status }) },
    ...(isSkewed && { hint: 'The clock of this machine and that of the object store differ by too much: timedatectl' }),
    cause,
  });
}

/** The status of the answer that the SDK threw; undefined where there was none. */
export function httpStatus(cause: unknown): number | undefined {
  if (typeof cause !== 'object' || cause === null || !('$metadata' in cause)) return undefined;
  const metadata = cause.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}
