import { SpokeError } from '../../errors.ts';

const DENIED = new Set(['AccessDenied', 'InvalidAccessKeyId', 'SignatureDoesNotMatch', 'AllAccessDisabled', 'Forbidden']);
const SKEWED = new Set(['RequestTimeTooSkewed', 'RequestExpired', 'RequestInTheFuture']);
const EXPIRED = new Set(['ExpiredToken', 'ExpiredTokenException', 'InvalidToken', 'TokenRefreshRequired']);
/** The SDK found no keys, or whoever gives them gave none. */
const WITHOUT_KEYS = new Set(['CredentialsProviderError', 'TokenProviderError', 'InvalidIdentityToken', 'IDPCommunicationError']);
/** What OpenSSL and Node say of a certificate that is not to be trusted. */
const CERTIFICATE = /CERT|^UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)|^ERR_TLS_|^HOSTNAME_MISMATCH$|^ERR_SSL_/;

interface Verdict {
  readonly what: string;
  readonly isDenied?: boolean;
  readonly hint?: string;
}

/** What the SDK threw, as REPOSITORY_DENIED (keys, rights, clock) or REPOSITORY_UNAVAILABLE (everything else). */
export function translateS3Error(cause: unknown, endpoint: string, bucket: string): SpokeError {
  if (cause instanceof SpokeError) return cause;
  const name = cause instanceof Error ? cause.name : 'Error';
  const status = httpStatus(cause);
  const reason = cause instanceof Error ? cause.message : String(cause);
  const { what, isDenied = false, hint } = verdictOn(cause, name, status);
  const why = reason === name || reason === '' ? name : `${name}: ${reason}`;
  return new SpokeError(isDenied ? 'REPOSITORY_DENIED' : 'REPOSITORY_UNAVAILABLE', `The bucket ${bucket} at ${endpoint} ${what}: ${why}`, {
    details: { endpoint, bucket, reason: name, ...(status !== undefined && { httpStatus: status }) },
    ...(hint !== undefined && { hint }),
    cause: withoutAnswer(cause),
  });
}

function verdictOn(cause: unknown, name: string, status: number | undefined): Verdict {
  if (SKEWED.has(name)) {
    const hint = 'Set the clock of this machine, or that of the object store, right. See: timedatectl';
    return { what: `refuses us, since ${differenceOf(cause)}`, isDenied: true, hint };
  }
  if (EXPIRED.has(name)) {
    const hint = 'Renew the session token that the configuration refers to, or look why the role of this machine gives no new one.';
    return { what: 'refuses us, since our credentials have expired', isDenied: true, hint };
  }
  if (WITHOUT_KEYS.has(name)) {
    const hint = 'Give accessKey and secretKey (keyType: shared), or this machine a role that may use the bucket.';
    return { what: 'cannot be asked, since we have no credentials', isDenied: true, hint };
  }
  const certificate = certificateFault(cause);
  if (certificate !== undefined) {
    const hint = 'Name the authority that signed it with caFile, or look at it: openssl s_client -connect <host>:<port>';
    return { what: `is not trusted, since its certificate is not (${certificate})`, hint };
  }
  const isDenied = DENIED.has(name) || status === 401 || status === 403;
  return { what: isDenied ? 'refuses us' : 'cannot be used', isDenied };
}

/** Node's code of what is wrong with a certificate, also below what the SDK threw. */
function certificateFault(cause: unknown): string | undefined {
  for (let one: unknown = cause; one instanceof Error; one = one.cause) {
    const code: unknown = Reflect.get(one, 'code');
    if (typeof code === 'string' && CERTIFICATE.test(code)) return code;
  }
  return undefined;
}

/** How far this machine's clock is from the server's, by the answer in which it refused us. */
function differenceOf(cause: unknown): string {
  const serverMs = Date.parse(dateHeaderOf(Reflect.get(Object(cause), '$response')) ?? '');
  if (Number.isNaN(serverMs)) return "this machine's clock and its own differ";
  const seconds = Math.round((Date.now() - serverMs) / 1000);
  const minutes = Math.round(Math.abs(seconds) / 60);
  const far = minutes === 0 ? `${Math.abs(seconds)} s` : `${minutes} min`;
  return `this machine's clock is ${far} ${seconds < 0 ? 'behind' : 'ahead of'} its own`;
}

/** The Date header of an answer. */
export function dateHeaderOf(response: unknown): string | undefined {
  if (typeof response !== 'object' || response === null || !('headers' in response)) return undefined;
  const { headers } = response;
  if (typeof headers !== 'object' || headers === null || !('date' in headers)) return undefined;
  return typeof headers.date === 'string' ? headers.date : undefined;
}

/** Of what was thrown only what it says: a refused signature is answered with the request, which has our token in it. */
function withoutAnswer(cause: unknown): unknown {
  if (!(cause instanceof Error)) return cause;
  const status = httpStatus(cause);
  const bare = Object.assign(new Error(cause.message), {
    name: cause.name,
    ...(status !== undefined && { $metadata: { httpStatusCode: status } }),
  });
  if (cause.stack !== undefined) bare.stack = cause.stack;
  return bare;
}

/** The status of the answer that the SDK threw; undefined where there was none. */
export function httpStatus(cause: unknown): number | undefined {
  if (typeof cause !== 'object' || cause === null || !('$metadata' in cause)) return undefined;
  const metadata = cause.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}

/** Whether the server said no to us, and not that it cannot. AWS and Ceph answer 403 to the deletion of what is locked, MinIO 400. */
export function isRefused(thrown: unknown): boolean {
  if (!(thrown instanceof SpokeError)) return false;
  const { reason, httpStatus: status } = thrown.details;
  return status === 403 || reason === 'ObjectLocked' || reason === 'InvalidRequest';
}
