import type { SshConfig } from '../../config/model.ts';
import { linesOf } from '../../domain/hosts/lines.ts';
import {
  decodeMessage,
  encodeMessage,
  errorOfMessage,
  type HostQuestion,
  type HostRequest,
  PING_EVERY_MS,
} from '../../domain/hosts/protocol.ts';
import { asSpokeError, SpokeError } from '../../errors.ts';
import type { OperationContext, Progress } from '../../ports/operation.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';
import { sshArguments } from './arguments.ts';
import { connectionFailure, nameOfHost, otherVersion } from './failure.ts';
import { Outbox } from './outbox.ts';

/** How long a connection may last at most; the timers of Node go no further. */
const LONGEST_MS = 2 ** 31 - 1;
const DEFAULT_TIMEOUT_MS = 60_000;
/** Beyond the limit that the other end keeps itself. */
const BEYOND_LIMIT_MS = 30_000;
/** What was cancelled there may have processes to end, which takes some seconds. */
const CANCEL_WAIT_MS = 45_000;
const CLOSE_WAIT_MS = 5_000;
const MOST_NOISE = 10;

export interface ConnectionParts {
  readonly runner: ProcessRunner;
  readonly ssh: SshConfig;
  /** What is run there. */
  readonly words: readonly string[];
  /** For ssh beside the usual few: where its agent listens. */
  readonly environment: Readonly<Record<string, string>>;
}

interface Pending {
  resolve(result: unknown): void;
  reject(reason: SpokeError): void;
  readonly onProgress: ((progress: Progress) => void) | undefined;
}

/** One ssh and the agent at its other end. Requests go side by side, each with its number. */
export class AgentConnection {
  readonly name: string;
  /** Why the connection is over; resolves when it is. */
  readonly ended: Promise<SpokeError>;
  readonly #pending = new Map<number, Pending>();
  readonly #outbox = new Outbox();
  readonly #killed = new AbortController();
  readonly #pings: NodeJS.Timeout;
  readonly #noise: string[] = [];
  #reason: SpokeError | undefined;
  #hasAnswered = false;
  #lastId = 0;

  constructor(parts: ConnectionParts) {
    this.name = nameOfHost(parts.ssh);
    this.#pings = setInterval(() => this.#send({ request: 'ping' }), PING_EVERY_MS);
    this.#pings.unref();
    this.ended = this.#run(parts).then((reason) => this.#end(reason));
  }

  get isOver(): boolean {
    return this.#reason !== undefined;
  }

  /** How many requests wait for their answer. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Throws what was thrown there, why there is no connection, TIMED_OUT, and the reason of the signal. */
  async ask(question: HostQuestion, context: OperationContext): Promise<unknown> {
    if (context.signal.aborted) throw asSpokeError(context.signal.reason);
    if (this.#reason !== undefined) throw this.#reason;
    const id = (this.#lastId += 1);
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, onProgress: context.onProgress });
    });
    this.#send({ id, ...question });
    try {
      return await this.#bounded(id, answer, context);
    } catch (thrown) {
      throw givenUpThere(asSpokeError(thrown), context);
    } finally {
      this.#pending.delete(id);
    }
  }

  /** The agent ends, with all that it started, and ssh after it. */
  async close(): Promise<void> {
    this.#outbox.close();
    const timer = setTimeout(() => this.#kill(), CLOSE_WAIT_MS);
    await this.ended;
    clearTimeout(timer);
  }

  /** Waits for the answer; on the signal or at the limit the other end is told to stop, and has a while to say that it did. */
  async #bounded(id: number, answer: Promise<unknown>, { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: OperationContext): Promise<unknown> {
    let stop = (_why: SpokeError): void => {};
    const stopped = new Promise<SpokeError>((resolve) => (stop = resolve));
    const onAbort = () => stop(asSpokeError(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    const limitMs = Math.min(timeoutMs + BEYOND_LIMIT_MS, LONGEST_MS);
    const timer = setTimeout(() => stop(new SpokeError('TIMED_OUT', `${this.name} did not answer within ${limitMs / 1000} s`)), limitMs);
    try {
      const first = await Promise.race([answer.then((result) => ({ result })), stopped]);
      if (!(first instanceof SpokeError)) return first.result;
      await this.#cancel(id, answer);
      throw first;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #cancel(id: number, answer: Promise<unknown>): Promise<void> {
    this.#send({ request: 'cancel', id });
    const timer = setTimeout(() => this.#kill(), CANCEL_WAIT_MS);
    await answer.catch(() => {});
    clearTimeout(timer);
  }

  #send(request: HostRequest): void {
    this.#outbox.put(encodeMessage(request));
  }

  #kill(): void {
    this.#killed.abort(new SpokeError('HOST_UNREACHABLE', `${this.name} does not answer any more`));
  }

  async #run({ runner, ssh, words, environment }: ConnectionParts): Promise<SpokeError> {
    try {
      const { exitCode, stderrTail } = await runner.run({
        file: 'ssh',
        argv: sshArguments(ssh, words),
        environment,
        inputStream: this.#outbox,
        consumeStdout: (output) => this.#read(output),
        signal: this.#killed.signal,
        timeoutMs: LONGEST_MS,
      });
      return connectionFailure(ssh, { exitCode, stderrTail: [stderrTail, ...this.#noise].join('\n'), hadAnswered: this.#hasAnswered });
    } catch (thrown) {
      return asSpokeError(thrown);
    }
  }

  async #read(output: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const line of linesOf(output)) this.#hear(line);
  }

  /** Before the first answer the shell that starts the agent may say something of its own. */
  #hear(line: string): void {
    const message = decodeMessage(line);
    const pending = typeof message?.['id'] === 'number' ? this.#pending.get(message['id']) : undefined;
    if (message === undefined) {
      if (this.#hasAnswered) throw otherVersion(this.name, 'what it says is no message');
      if (this.#noise.length < MOST_NOISE) this.#noise.push(line.slice(0, 200));
      return;
    }
    this.#hasAnswered = true;
    if ('progress' in message) pending?.onProgress?.(message['progress'] as Progress);
    else if ('error' in message) pending?.reject(errorOfMessage(message['error'], this.name));
    else pending?.resolve(message['result']);
  }

  #end(reason: SpokeError): SpokeError {
    this.#reason = reason;
    clearInterval(this.#pings);
    this.#outbox.close();
    for (const { reject } of this.#pending.values()) reject(reason);
    return reason;
  }
}

/** Cancelled by whoever is there, who was told to end or had heard nothing for too long; nobody here wanted it. */
function givenUpThere(error: SpokeError, { signal }: OperationContext): SpokeError {
  if (signal.aborted || (error.code !== 'CANCELLED' && error.code !== 'TERMINATED')) return error;
  return new SpokeError('HOST_UNREACHABLE', `${error.message} (it was given up there)`, { details: error.details, cause: error });
}
