import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { CLAIM_PORTS, claimPorts, releasePorts } from '../../../src/lab/claim-ports.ts';

const made: string[] = [];

async function lab(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'lab-'));
  made.push(directory);
  return directory;
}

describe('the ports of labs', () => {
  afterEach(async () => {
    for (const directory of made.splice(0)) {
      await rm(directory, { recursive: true, force: true });
      await releasePorts(directory);
    }
  });

  it('are never the same, though none of them is used yet', async () => {
    const labs = await Promise.all(Array.from({ length: 40 }, lab));
    const claimed = await Promise.all(labs.map((directory) => claimPorts(directory, CLAIM_PORTS)));
    const ports = claimed.flat();
    expect(new Set(ports).size).toBe(40 * CLAIM_PORTS);
    expect(Math.max(...ports)).toBeLessThan(32_768);
  });

  it('follow one another, and are still claimed by a lab that claims a second time', async () => {
    const directory = await lab();
    const [first, second] = [await claimPorts(directory, 3), await claimPorts(directory, 3)];
    expect(first.map((port) => port - (first[0] ?? 0))).toEqual([0, 1, 2]);
    expect(first).not.toContain(second[0]);
  });

  it('are not those on which somebody else listens, and run out', async () => {
    const directory = await lab();
    const two = { first: 32_000, blocks: 2 };
    const listening = createServer();
    await new Promise<void>((resolve) => listening.listen(two.first + 1, '127.0.0.1', resolve));
    try {
      expect(await claimPorts(directory, 2, two)).toEqual([two.first + CLAIM_PORTS, two.first + CLAIM_PORTS + 1]);
      await expect(claimPorts(directory, 2, two)).rejects.toThrow(expect.objectContaining({ code: 'REFUSED_PRECONDITION' }));
      expect(await claimPorts(directory, 1, two)).toEqual([two.first]);
    } finally {
      await new Promise((resolve) => listening.close(resolve));
    }
  });

  it('are given to others once the lab lets go of them, and not before', async () => {
    const [directory, next] = [await lab(), await lab()];
    const one = { first: 32_064, blocks: 1 };
    expect(await claimPorts(directory, 1, one)).toEqual([one.first]);
    await expect(claimPorts(next, 1, one)).rejects.toThrow(expect.objectContaining({ code: 'REFUSED_PRECONDITION' }));
    await releasePorts(directory);
    await releasePorts(directory);
    expect(await claimPorts(next, 1, one)).toEqual([one.first]);
  });

  it('are given to others where the lab is gone and has not let go of them', async () => {
    const [directory, next] = [await lab(), await lab()];
    const one = { first: 32_096, blocks: 1 };
    await claimPorts(directory, 1, one);
    const claim = `/tmp/spoke-lab-ports-${process.getuid?.() ?? 0}/${one.first}`;
    await rm(directory, { recursive: true });
    await expect(claimPorts(next, 1, one)).rejects.toThrow(expect.objectContaining({ code: 'REFUSED_PRECONDITION' }));
    const longAgo = new Date(Date.now() - 120_000);
    await utimes(claim, longAgo, longAgo);
    expect(await claimPorts(next, 1, one)).toEqual([one.first]);
  });
});
