import { readFile } from 'node:fs/promises';
import { asSpokeError, SpokeError } from '../../errors.ts';
import type { OperationContext } from '../../ports/operation.ts';
import { type ApiAnswer, type ApiRequest, ask, wordsOf } from './http.ts';

/** How the Patroni of a cluster is reached. */
export interface PatroniAccess {
  readonly urls: readonly string[];
  /** Patroni's name for the cluster. */
  readonly scope: string;
  /** Of whoever may change something; read each time that it is needed. Throws SECRET_UNAVAILABLE. */
  credentials(): Promise<{ readonly user: string; readonly password: string } | undefined>;
  readonly caFile?: string;
}

type Question = Pick<ApiRequest, 'method' | 'path' | 'body'>;
type AnswerOf = ApiAnswer & { readonly url: string };

const DEFAULT_TIMEOUT_MS = 5_000;
/** So long one URL alone is waited for. */
const HESITATION_MS = 1_000;

/** Questions to a Patroni, whichever of its members has an answer. */
export class PatroniApi {
  readonly #access: PatroniAccess;

  constructor(access: PatroniAccess) {
    this.#access = access;
  }

  get scope(): string {
    return this.#access.scope;
  }

  /**
   * Asks one URL, and the next one where that fails or hesitates; the first good answer counts. Not all at once: Patroni's log has a page for
   * each question that nobody waits for any more. Throws with every reason where none has an answer.
   */
  async read(path: string, context: OperationContext): Promise<AnswerOf> {
    const over = new AbortController();
    const own = { ...context, signal: AbortSignal.any([context.signal, over.signal]) };
    const answers: Promise<AnswerOf>[] = [];
    try {
      for (const url of this.#access.urls) {
        const answer = this.readAt(url, path, own);
        answers.push(answer);
        const found = await firstWithin(answers, answer, HESITATION_MS);
        if (found !== undefined) return found;
      }
      return await Promise.any(answers);
    } catch (thrown) {
      throw noneAnswered(thrown, context);
    } finally {
      over.abort();
    }
  }

  /** Asks that URL. */
  async readAt(url: string, path: string, context: OperationContext): Promise<AnswerOf> {
    const answer = await ask(url, { method: 'GET', path, ...(await this.#common(context)) }, context);
    if (answer.status === 200) return { ...answer, url };
    throw new SpokeError('PATRONI_UNAVAILABLE', `Patroni at ${url} answers ${path} with status ${answer.status}: ${wordsOf(answer)}`);
  }

  /** Asks one URL after the other, and the next one only where nothing can have reached the one before: nothing is asked for twice. */
  async change(question: Question, context: OperationContext): Promise<ApiAnswer> {
    const faults: SpokeError[] = [];
    for (const url of this.#access.urls) {
      try {
        return await this.changeAt(url, question, context);
      } catch (thrown) {
        const error = asSpokeError(thrown);
        if (error.details['neverSent'] !== true) throw error;
        faults.push(error);
      }
    }
    throw noneAnswered(new AggregateError(faults), context);
  }

  /** Asks that URL, which may be one that only Patroni has named: a password goes nowhere in plain text that the configured URLs would encrypt. */
  async changeAt(url: string, { method, path, body }: Question, context: OperationContext): Promise<ApiAnswer> {
    if (url.startsWith('http:') && !this.#access.urls.some((configured) => configured.startsWith('http:')))
      throw new SpokeError('PATRONI_DENIED', `Patroni names ${url} for a member, which has no TLS: the password is not sent there`, {
        hint: 'Give that member a certificate (restapi.certfile).',
      });
    const credentials = await this.#access.credentials();
    const authorization = credentials === undefined ? {} : { authorization: basic(credentials) };
    const sent = { method, path, ...(body === undefined ? {} : { body }), ...authorization };
    return ask(url, { ...sent, ...(await this.#common(context)) }, context);
  }

  async #common({ timeoutMs }: OperationContext): Promise<Pick<ApiRequest, 'ca' | 'timeoutMs'>> {
    const { caFile } = this.#access;
    const limit = { timeoutMs: timeoutMs ?? DEFAULT_TIMEOUT_MS };
    if (caFile === undefined) return limit;
    try {
      return { ...limit, ca: await readFile(caFile, 'utf8') };
    } catch (thrown) {
      throw new SpokeError('PATRONI_DENIED', `${caFile} cannot be read, and Patroni's certificate not be checked`, { cause: thrown });
    }
  }
}

/** The first good one of those that were asked; undefined once the newest has failed or has taken that long. */
async function firstWithin<T>(all: readonly Promise<T>[], newest: Promise<T>, ms: number): Promise<T | undefined> {
  let limit: NodeJS.Timeout | undefined;
  const nothing = new Promise<undefined>((resolve) => {
    limit = setTimeout(() => resolve(undefined), ms);
    newest.catch(() => resolve(undefined));
  });
  try {
    return await Promise.race([Promise.any(all).catch(() => nothing), nothing]);
  } finally {
    clearTimeout(limit);
  }
}

function basic({ user, password }: { readonly user: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`;
}

function noneAnswered(thrown: unknown, { signal }: OperationContext): SpokeError {
  const faults = thrown instanceof AggregateError ? thrown.errors.map(asSpokeError) : [asSpokeError(thrown)];
  const [first] = faults;
  if (first === undefined) return new SpokeError('PATRONI_UNAVAILABLE', 'no URL of Patroni is configured');
  if (faults.length === 1 || signal.aborted) return first;
  // A certificate or a secret that is wrong explains more than a host that is away.
  const telling = faults.find(({ code }) => code !== 'PATRONI_UNAVAILABLE' && code !== 'TIMED_OUT');
  if (telling !== undefined) return telling;
  return new SpokeError('PATRONI_UNAVAILABLE', faults.map(({ message }) => message).join('; '), { cause: thrown });
}
