import { mkdir, readFile } from 'node:fs/promises';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request as httpsRequest, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Transform } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createProcessRunner } from '../../src/adapters/process/index.ts';
import { makeCertificate } from '../../src/lab/s3-server/certificate.ts';

export interface ProxiedRequest {
  readonly method: string;
  /** Path and query, for example `/bucket/key?uploads`. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

/** What befalls one request. Without `answer` and `hangs` the server behind is asked. */
export interface Fault {
  /** Until the answer begins. */
  readonly delayMs?: number;
  /** Given in place of the server's. */
  readonly answer?: { readonly status: number; readonly body?: string; readonly headers?: Readonly<Record<string, string>> };
  /** The server does what it is asked, and its answer is lost: the connection is closed, or `answer` given. */
  readonly loses?: boolean;
  /** Never answered. */
  readonly hangs?: boolean;
  /** The connection is closed after so many bytes of the answer's body. */
  readonly cutAfterBytes?: number;
  /** A bit of the request's body is turned over. */
  readonly corrupts?: boolean;
  /** Of the bodies, in both directions. */
  readonly bytesPerSecond?: number;
}

interface Upstream {
  readonly endpoint: string;
  readonly caFile?: string;
}

/** Stands before an S3 server, with a certificate of its own, and does to requests what a test says. */
export class FaultProxy {
  readonly caFile: string;
  readonly requests: ProxiedRequest[] = [];
  /** Asked for each request; undefined: it goes through. */
  fault: (request: ProxiedRequest) => Fault | undefined = () => undefined;
  readonly #server: Server;
  readonly #upstream: URL;
  readonly #agent: Agent;

  private constructor(server: Server, upstream: URL, agent: Agent, caFile: string) {
    this.#server = server;
    this.#upstream = upstream;
    this.#agent = agent;
    this.caFile = caFile;
    server.on('request', (request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  /** Listens on a free port of the loopback interface; its certificates are made in `directory`. */
  static async before(upstream: Upstream, directory: string): Promise<FaultProxy> {
    await mkdir(directory, { recursive: true });
    const context = { processes: createProcessRunner(), signal: new AbortController().signal, report: () => undefined };
    const { caFile, certificateFile, keyFile } = await makeCertificate(directory, context);
    const server = createServer({ cert: await readFile(certificateFile), key: await readFile(keyFile) });
    const agent = new Agent({ keepAlive: true, ...(upstream.caFile !== undefined && { ca: await readFile(upstream.caFile) }) });
    const proxy = new FaultProxy(server, new URL(upstream.endpoint), agent, caFile);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get endpoint(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How many requests there were of that method whose URL contains that. */
  count(method: string, part = ''): number {
    return this.requests.filter((request) => request.method === method && request.url.includes(part)).length;
  }

  async close(): Promise<void> {
    this.#agent.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = incoming;
    const request = { method, url, headers };
    this.requests.push(request);
    const fault = this.fault(request) ?? {};
    incoming.on('error', () => undefined);
    response.on('error', () => undefined);
    if (fault.hangs === true) return;
    if (fault.answer === undefined || fault.loses === true) {
      const answer = await this.#ask(incoming, fault);
      if (fault.loses !== true) return this.#handOn(answer, response, fault);
      for await (const _piece of answer) continue;
      if (fault.answer === undefined) return void response.destroy();
    } else for await (const _piece of incoming) continue;
    await sleep(fault.delayMs ?? 0);
    const { status, body = '', headers: own = {} } = fault.answer;
    response.writeHead(status, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(body), ...own }).end(body);
  }

  #ask(incoming: IncomingMessage, { bytesPerSecond, corrupts }: Fault): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = this.#upstream;
      const { method, url: path, headers } = incoming;
      const outgoing = httpsRequest({ hostname, port, method, path, headers, agent: this.#agent }, resolve);
      outgoing.on('error', reject);
      incoming.on('close', () => {
        if (!incoming.complete) outgoing.destroy();
      });
      const body = bytesPerSecond === undefined ? incoming : incoming.pipe(slowly(bytesPerSecond));
      (corrupts === true ? body.pipe(corruptly()) : body).pipe(outgoing);
    });
  }

  async #handOn(answer: IncomingMessage, response: ServerResponse, { delayMs, cutAfterBytes, bytesPerSecond }: Fault): Promise<void> {
    await sleep(delayMs ?? 0);
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    let handedOn = 0;
    for await (const piece of bytesPerSecond === undefined ? answer : answer.pipe(slowly(bytesPerSecond))) {
      const part = (piece as Buffer).subarray(0, (cutAfterBytes ?? Number.POSITIVE_INFINITY) - handedOn);
      handedOn += part.length;
      await new Promise((resolve) => response.write(part, resolve));
      if (handedOn === cutAfterBytes) return void response.destroy();
    }
    response.end();
  }
}

/** Piece by piece, as they come from the connection, with the pauses that make it so slow. */
function slowly(bytesPerSecond: number): Transform {
  return new Transform({
    transform(piece: Buffer, _encoding, done) {
      setTimeout(() => done(null, piece), (piece.length / bytesPerSecond) * 1000);
    },
  });
}

function corruptly(): Transform {
  let isDone = false;
  return new Transform({
    transform(piece: Buffer, _encoding, done) {
      if (!isDone) piece[0] = piece[0]! ^ 1;
      isDone = true;
      done(null, piece);
    },
  });
}

/** A refusal in the words of S3. */
export function refusal(status: number, code: string, message = 'refused by a test'): Fault {
  return { answer: { status, body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>` } };
}
