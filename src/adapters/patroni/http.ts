import { type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestTls, type RequestOptions } from 'node:https';
import { SpokeError } from '../../errors.ts';
import type { OperationContext } from '../../ports/operation.ts';

/** Of an answer. The view of a large cluster has some kilobytes. */
const MOST_BYTES = 4 * 1024 * 1024;
const LONGEST_WORDS = 300;

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PATCH';
  /** Begins with `/`. */
  readonly path: string;
  readonly body?: unknown;
  /** Sent as it is: `Basic …`. */
  readonly authorization?: string;
  /** Certificates (PEM) that are trusted instead of the system's. */
  readonly ca?: string;
  readonly timeoutMs: number;
}

export interface ApiAnswer {
  readonly status: number;
  readonly text: string;
}

/** Nothing has reached the other side: it may be asked for elsewhere. */
const NEVER_SENT = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'];
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|HOSTNAME_MISMATCH/;

/**
 * Asks one URL once. Redirections are not followed. Throws PATRONI_UNAVAILABLE (details.neverSent where it certainly was not asked),
 * PATRONI_DENIED for a certificate that is not trusted and for 401 and 403, TIMED_OUT, and CANCELLED.
 */
export async function ask(base: string, request: ApiRequest, context: OperationContext): Promise<ApiAnswer> {
  const limit = AbortSignal.timeout(request.timeoutMs);
  try {
    const answer = await exchange(base, request, AbortSignal.any([context.signal, limit]));
    if (answer.status === 401 || answer.status === 403)
      throw new SpokeError('PATRONI_DENIED', `Patroni at ${base} does not let us in (${answer.status}): ${wordsOf(answer)}`);
    return answer;
  } catch (thrown) {
    throw translate(thrown, base, request, context, limit);
  }
}

/** What Patroni said, on one line. */
export function wordsOf({ text }: ApiAnswer): string {
  const words = text.replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ');
  return words.trim().slice(0, LONGEST_WORDS);
}

async function exchange(base: string, { method, path, body, authorization, ca }: ApiRequest, signal: AbortSignal): Promise<ApiAnswer> {
  const url = new URL(path, base);
  const sent = body === undefined ? '' : JSON.stringify(body);
  const options: RequestOptions = {
    method,
    signal,
    // A connection for each question: none is kept, so none is found broken.
    agent: false,
    headers: {
      'user-agent': 'spoke-backup',
      ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) }),
      ...(authorization === undefined ? {} : { authorization }),
    },
    ...(ca === undefined ? {} : { ca }),
  };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asking = url.protocol === 'https:' ? requestTls(url, options, resolve) : requestPlain(url, options, resolve);
    asking.on('error', reject).end(sent);
  });
  return { status: response.statusCode ?? 0, text: await textOf(response) };
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Error(`its answer has more than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function translate(thrown: unknown, base: string, { timeoutMs }: ApiRequest, { signal }: OperationContext, limit: AbortSignal): SpokeError {
  if (thrown instanceof SpokeError) return thrown;
  if (signal.aborted) {
    if (signal.reason instanceof SpokeError) return signal.reason;
    return new SpokeError('CANCELLED', `Patroni at ${base}: cancelled.`);
  }
  if (limit.aborted) return new SpokeError('TIMED_OUT', `Patroni at ${base} did not answer within ${timeoutMs / 1000} s`);
  const code = codeOf(thrown) ?? '';
  const reason = thrown instanceof Error ? thrown.message || code : String(thrown);
  const options = { cause: thrown, details: { url: base, ...(NEVER_SENT.includes(code) ? { neverSent: true } : {}) } };
  if (UNTRUSTED.test(code))
    return new SpokeError('PATRONI_DENIED', `the certificate of Patroni at ${base} is not trusted: ${reason}`, options);
  return new SpokeError('PATRONI_UNAVAILABLE', `Patroni at ${base} does not answer: ${reason}`, options);
}

/** Of several addresses of a host the first one's counts. */
function codeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const code: unknown = Reflect.get(thrown, 'code');
  if (typeof code === 'string') return code;
  return thrown instanceof AggregateError ? codeOf(thrown.errors[0]) : undefined;
}
