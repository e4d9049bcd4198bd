import { randomInt } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { SpokeError } from '../errors.ts';

/** Below the range that kernels hand out to outgoing connections, so that no client takes a port of ours. */
const FIRST = 15_000;
const LAST = 31_999;
/** Ports that are claimed at once: as many as one S3 server needs. */
export const CLAIM_PORTS = 32;
const ALL_BLOCKS: PortBlocks = { first: FIRST, blocks: Math.floor((LAST - FIRST + 1) / CLAIM_PORTS) };
/** A claim comes before the directory that it is for. */
const UNBORN_MS = 60_000;

/** `blocks` times CLAIM_PORTS ports, from `first` on. */
export interface PortBlocks {
  readonly first: number;
  readonly blocks: number;
}

/**
 * TCP ports of 127.0.0.1, one after the other, for the lab in `labDirectory`: nobody listens on the first `count` of them, and no
 * other lab of this user gets any of the CLAIM_PORTS, not even while its own servers are stopped, until `releasePorts` or until
 * the directory is gone. Throws REFUSED_PRECONDITION where all are taken.
 */
export async function claimPorts(labDirectory: string, count: number, among = ALL_BLOCKS): Promise<readonly number[]> {
  const claims = await claimsDirectory();
  const start = randomInt(among.blocks);
  for (let step = 0; step < among.blocks; step++) {
    const first = among.first + ((start + step) % among.blocks) * CLAIM_PORTS;
    const claim = join(claims, String(first));
    if (!(await takeClaim(claim, labDirectory))) continue;
    const ports = Array.from({ length: count }, (_, index) => first + index);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return ports;
    await rm(claim, { force: true });
  }
  throw new SpokeError('REFUSED_PRECONDITION', `No ${count} free TCP ports on 127.0.0.1 from ${among.first} on.`, {
    hint: `Each file in ${claims} names a lab that holds some; take down what is left: spoke-backup lab down --dir DIRECTORY`,
  });
}

/** Lets other labs have the ports of this one. Idempotent. */
export async function releasePorts(labDirectory: string): Promise<void> {
  const claims = await claimsDirectory();
  for (const name of await readdir(claims)) {
    const claim = join(claims, name);
    if ((await holderOf(claim)) === labDirectory) await rm(claim, { force: true });
  }
}

/** The ports are the machine's, so this is under /tmp whatever TMPDIR says; one for each user. */
async function claimsDirectory(): Promise<string> {
  const uid = process.getuid?.() ?? 0;
  const path = `/tmp/spoke-lab-ports-${uid}`;
  await mkdir(path, { recursive: true, mode: 0o700 });
  const stats = await lstat(path);
  if (stats.isDirectory() && stats.uid === uid) return path;
  throw new SpokeError('REFUSED_UNSAFE_DIRECTORY', `${path} is not a directory of this user.`);
}

/** false where another lab holds it. */
async function takeClaim(claim: string, labDirectory: string): Promise<boolean> {
  if (await isStale(claim)) await rm(claim, { force: true });
  try {
    await writeFile(claim, labDirectory, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw thrown;
  }
}

async function isStale(claim: string): Promise<boolean> {
  const stats = await lstat(claim).catch(() => undefined);
  if (stats === undefined || Date.now() - stats.mtimeMs < UNBORN_MS) return false;
  const holder = await holderOf(claim);
  return holder !== undefined && (await lstat(holder).catch(() => undefined)) === undefined;
}

function holderOf(claim: string): Promise<string | undefined> {
  return readFile(claim, 'utf8').catch(() => undefined);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
