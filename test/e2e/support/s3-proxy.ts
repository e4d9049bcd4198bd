import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** How much more goes through before the proxy breaks. */
export interface Remaining {
  readonly connections?: number;
  readonly bytes?: number;
}

/** Stands before the S3 server and hands on what goes by, until it breaks: then whoever is connected, or connects, is cut off. */
export class S3Proxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #upstream: { readonly host: string; readonly port: number };
  #connections = Number.POSITIVE_INFINITY;
  #bytes = Number.POSITIVE_INFINITY;
  #isBroken = false;

  private constructor(endpoint: URL) {
    this.#upstream = { host: endpoint.hostname, port: Number(endpoint.port || 443) };
    this.#server = createServer((client) => this.#serve(client));
  }

  /** Listens on a free port of the loopback interface. */
  static async before(endpoint: string): Promise<S3Proxy> {
    const proxy = new S3Proxy(new URL(endpoint));
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get isBroken(): boolean {
    return this.#isBroken;
  }

  breakAfter({ connections = Number.POSITIVE_INFINITY, bytes = Number.POSITIVE_INFINITY }: Remaining): void {
    this.#connections = connections;
    this.#bytes = bytes;
  }

  mend(): void {
    this.breakAfter({});
    this.#isBroken = false;
  }

  async close(): Promise<void> {
    this.#break();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(client: Socket): void {
    this.#connections -= 1;
    if (this.#connections < 0) this.#break();
    if (this.#isBroken) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(this.#upstream);
    this.#join(client, server);
    this.#join(server, client);
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on('data', (chunk) => {
      this.#bytes -= chunk.length;
      if (this.#bytes < 0) this.#break();
    });
    from.on('error', () => to.destroy());
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    from.pipe(to);
  }

  #break(): void {
    this.#isBroken = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }
}
