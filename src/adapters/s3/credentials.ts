import type * as SdkModule from '@aws-sdk/client-s3';

/** What requests are signed with. Secret. */
export interface S3Keys {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string;
}

interface KeySource extends Partial<S3Keys> {
  readonly readKeys?: () => Promise<Partial<S3Keys>>;
}

/** Other keys than those that were just refused are not had more often than this. */
const REFRESH_AT_MOST_EVERY_MS = 60_000;

/** For the SDK's configuration: those given, or by its chain: role of the machine, web identity, container and so on. */
export function credentialsOf({ accessKey, secretKey, sessionToken, readKeys }: KeySource): {
  credentials?: NonNullable<SdkModule.S3ClientConfig['credentials']>;
} {
  if (accessKey === undefined || secretKey === undefined) return {};
  const given = { accessKey, secretKey, ...(sessionToken !== undefined && { sessionToken }) };
  if (readKeys === undefined) return { credentials: identityOf(given) };
  let isFirst = true;
  const provider = async () => {
    const keys = isFirst ? given : { ...given, ...(await readKeys()) };
    isFirst = false;
    return identityOf(keys);
  };
  return { credentials: provider };
}

function identityOf({ accessKey, secretKey, sessionToken }: S3Keys) {
  return { accessKeyId: accessKey, secretAccessKey: secretKey, ...(sessionToken !== undefined && { sessionToken }) };
}

/** A request whose keys are refused is sent once more with keys that were had anew: a token may have ended before its time. */
export function refreshRefusedCredentials(client: SdkModule.S3Client): void {
  let refreshedMs = Number.NEGATIVE_INFINITY;
  let refreshing: Promise<unknown> = Promise.resolve();
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (thrown) {
        if (!areKeysRefused(thrown)) throw thrown;
        if (performance.now() - refreshedMs > REFRESH_AT_MOST_EVERY_MS) {
          refreshedMs = performance.now();
          refreshing = client.config.credentials({ forceRefresh: true });
        }
        // What was wrong in the first place says more than that there are no others.
        await refreshing.catch(() => {
          throw thrown;
        });
        return next(args);
      }
    },
    { step: 'initialize', priority: 'low', name: 'refreshRefusedCredentials' },
  );
}

const REFUSED_KEYS = new Set(['ExpiredToken', 'ExpiredTokenException', 'InvalidAccessKeyId', 'InvalidToken', 'TokenRefreshRequired']);

function areKeysRefused(thrown: unknown): boolean {
  return thrown instanceof Error && REFUSED_KEYS.has(thrown.name);
}
