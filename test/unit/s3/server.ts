import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers requests as a test says, in the words of S3. */
export class ScriptedServer {
  readonly requests: string[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(answer: (request: IncomingMessage, count: number) => Answer): Promise<ScriptedServer> {
    const server = createServer((request, response) => {
      scripted.requests.push(`${request.method ?? ''} ${request.url ?? ''}`);
      const { status, body = '', headers = {} } = answer(request, scripted.requests.length);
      request.resume();
      request.on('end', () => response.writeHead(status, { 'content-type': 'application/xml', ...headers }).end(body));
    });
    const scripted = new ScriptedServer(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return scripted;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export function failure(status: number, code: string): Answer {
  return { status, body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>` };
}
