import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Keys {
  readonly accessKey: string;
  readonly secretKey: string;
}

const HOUR_MS = 3_600_000;

/** Gives keys as the agent of a container does, and as AWS' security token service does for a web identity. */
export class KeyGiver {
  /** Given one after the other; once there are no more, everybody is refused. */
  keys: Keys[] = [];
  answered = 0;
  /** What the token service was asked last. */
  asked = '';
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#bodyOf(request).then((body) => {
        const keys = this.keys.shift();
        if (keys === undefined) return response.writeHead(404).end('{}');
        this.answered += 1;
        this.asked = body;
        return response.end(request.method === 'POST' ? assumedRole(keys) : ofContainer(keys));
      });
    });
  }

  static async start(): Promise<KeyGiver> {
    const giver = new KeyGiver();
    await new Promise<void>((resolve) => giver.#server.listen(0, '127.0.0.1', resolve));
    return giver;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #bodyOf(request: IncomingMessage): Promise<string> {
    let body = '';
    for await (const piece of request) body += String(piece);
    return body;
  }
}

const inAnHour = () => new Date(Date.now() + HOUR_MS).toISOString();

function ofContainer({ accessKey, secretKey }: Keys): string {
  return JSON.stringify({ AccessKeyId: accessKey, SecretAccessKey: secretKey, Token: '', Expiration: inAnHour() });
}

function assumedRole({ accessKey, secretKey }: Keys): string {
  const credentials = `<AccessKeyId>${accessKey}</AccessKeyId><SecretAccessKey>${secretKey}</SecretAccessKey><SessionToken></SessionToken><Expiration>${inAnHour()}</Expiration>`;
  return `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>${credentials}</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
}
