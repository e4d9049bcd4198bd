import { readFile } from 'node:fs/promises';
import type * as SdkModule from '@aws-sdk/client-s3';
import { type Instant, instantOfMillis } from '../../domain/time/instant.ts';
import { SpokeError } from '../../errors.ts';
import { credentialsOf, refreshRefusedCredentials, type S3Keys } from './credentials.ts';
import { dateHeaderOf, translateS3Error } from './s3-error.ts';
import { sendInSlices } from './send-in-slices.ts';
import { askForEncryption, type ServerSideEncryption } from './server-side-encryption.ts';

/** How to reach one bucket. The keys are never printed. */
export interface ObjectStoreConnection {
  /** https://host:port */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** With secretKey; without them the SDK looks for the role of the machine or a web identity. */
  readonly accessKey?: string;
  readonly secretKey?: string;
  readonly sessionToken?: string;
  /** Where the keys may change: gives those of now, asked for once those above are refused. */
  readonly readKeys?: () => Promise<Partial<S3Keys>>;
  /** PEM file of the authority that signed the server's certificate, where it is not a public one. */
  readonly caFile?: string;
  /** True where it is not given. */
  readonly verifyTls?: boolean;
  /** path where it is not given. */
  readonly uriStyle?: 'path' | 'host';
  /** when_required where it is not given, since not every server understands the others. */
  readonly checksums?: 'auto' | 'when_required';
  /** What every object that is written asks for; nothing where it is not given, so that the bucket's default counts. */
  readonly serverSideEncryption?: ServerSideEncryption;
  /** For each request, until it is answered; 20 s where not given. Requests with a body of any length have `stallMs` alone. */
  readonly timeoutMs?: number;
  /** For how long nothing may come or go; 60 s where not given. */
  readonly stallMs?: number;
  /** How often a request is tried, with growing and random pauses, while the server is busy or unreachable; 2 where not given. */
  readonly attempts?: number;
}

export type Sdk = typeof SdkModule;

/** One bucket by the SDK, with its errors as ours. */
export interface S3Client {
  readonly sdk: Sdk;
  readonly bucket: string;
  /** For people. */
  readonly place: string;
  readonly checksums: 'auto' | 'when_required';
  /** Options of requests that may take as long as something comes or goes. */
  readonly transfer: { readonly requestTimeout: 0 };
  /** What it throws comes out as REPOSITORY_UNAVAILABLE, REPOSITORY_DENIED or CANCELLED. */
  guarded<T>(signal: AbortSignal, work: (client: SdkModule.S3Client, options: { abortSignal: AbortSignal }) => Promise<T>): Promise<T>;
  /** As `guarded`, with what the server's clock said in its last answer, also in a refusal. Not for several requests at once. */
  timed<T>(
    signal: AbortSignal,
    work: (client: SdkModule.S3Client, options: { abortSignal: AbortSignal }) => Promise<T>,
  ): Promise<{ readonly value: T; readonly serverNow?: Instant }>;
  close(): void;
}

const REQUEST_TIMEOUT_MS = 20_000;
/** What the kernel holds counts as sent: 4 MiB, which take 40 s at 100 kB a second. */
const STALL_MS = 60_000;
const CONNECTION_TIMEOUT_MS = 10_000;
const ATTEMPTS = 2;

/** Loads the SDK and opens it; asks the server nothing yet. */
export async function openS3Client(connection: ObjectStoreConnection): Promise<S3Client> {
  const sdk = await import('@aws-sdk/client-s3');
  const client = new sdk.S3Client(await clientConfiguration(connection));
  const { endpoint, bucket } = connection;
  const clock = listenToClock(client);
  sendInSlices(client);
  if (connection.readKeys !== undefined || connection.accessKey === undefined) refreshRefusedCredentials(client);
  if (connection.serverSideEncryption !== undefined) askForEncryption(client, connection.serverSideEncryption);
  const guarded: S3Client['guarded'] = (signal, work) =>
    work(client, { abortSignal: signal }).catch((cause: unknown) => {
      if (signal.aborted) throw cancellation(signal);
      throw translateS3Error(cause, endpoint, bucket);
    });
  return {
    sdk,
    bucket,
    place: `the bucket ${bucket} at ${endpoint}`,
    checksums: connection.checksums ?? 'when_required',
    transfer: { requestTimeout: 0 },
    guarded,
    timed: async (signal, work) => {
      const value = await guarded(signal, work);
      return { value, ...clock.last() };
    },
    close: () => client.destroy(),
  };
}

async function clientConfiguration(connection: ObjectStoreConnection): Promise<SdkModule.S3ClientConfig> {
  const { caFile, verifyTls, uriStyle, checksums } = connection;
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
  const checksum = checksums === 'auto' ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED';
  return {
    endpoint: connection.endpoint,
    region: connection.region,
    forcePathStyle: uriStyle !== 'host',
    ...credentialsOf(connection),
    requestChecksumCalculation: checksum,
    responseChecksumValidation: checksum,
    maxAttempts: connection.attempts ?? ATTEMPTS,
    // The SDK would send what waits for it (2 MiB and more) by an agent of its own making, which does not know our certificate authority.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: connection.timeoutMs ?? REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      socketTimeout: connection.stallMs ?? STALL_MS,
      httpsAgent: { ...(ca !== undefined && { ca }), ...(verifyTls === false && { rejectUnauthorized: false }) },
    },
  };
}

/** The Date header of every answer: no command hands it on. */
function listenToClock(client: SdkModule.S3Client): { last(): { readonly serverNow?: Instant } } {
  let serverNow: Instant | undefined;
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const millis = Date.parse(dateHeaderOf(result.response) ?? '');
      if (!Number.isNaN(millis)) serverNow = instantOfMillis(millis);
      return result;
    },
    { step: 'deserialize', priority: 'low', name: 'listenToClock' },
  );
  return { last: () => (serverNow === undefined ? {} : { serverNow }) };
}

/** What an aborted signal comes out as. */
export function cancellation(signal: AbortSignal): SpokeError {
  if (signal.reason instanceof SpokeError) return signal.reason;
  return new SpokeError('CANCELLED', 'The request to the object store was cancelled.', { cause: signal.reason });
}

/** undefined where there is no such object or bucket. */
export async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  return answer.catch((thrown: unknown) => {
    if (thrown instanceof Error && ['NoSuchKey', 'NotFound', 'NoSuchBucket'].includes(thrown.name)) return undefined;
    throw thrown;
  });
}

/** undefined where the bucket holds no such object. */
export async function unlessNoKey<T>(answer: Promise<T>): Promise<T | undefined> {
  return answer.catch((thrown: unknown) => {
    if (thrown instanceof Error && thrown.name === 'NoSuchKey') return undefined;
    throw thrown;
  });
}
