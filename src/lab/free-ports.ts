import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { SpokeError } from '../errors.ts';

/** Below the range that kernels hand out to outgoing connections, so that no client takes a port between our look and its use. */
const FIRST = 15_000;
const LAST = 31_999;
const ATTEMPTS = 500;

/** TCP ports of 127.0.0.1 on which nobody listens; picked at random, so that labs started at once get different ones. */
export async function findFreePorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>();
  for (let attempt = 0; attempt < ATTEMPTS && ports.size < count; attempt++) {
    const port = randomInt(FIRST, LAST + 1);
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  if (ports.size < count)
    throw new SpokeError('REFUSED_PRECONDITION', `No ${count} free TCP ports between ${FIRST} and ${LAST} on 127.0.0.1.`);
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
