import { readFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import type { MachineReader } from '../../ports/machine.ts';

/** Version 2 of control groups, then version 1; of the group that we are in as a container sees it. */
const MEMORY_LIMITS = ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes'];

export function createMachineReader(): MachineReader {
  return {
    async facts() {
      const limits = await Promise.all(MEMORY_LIMITS.map(numberIn));
      return { memoryBytes: Math.min(totalmem(), ...limits), cores: availableParallelism() };
    },
  };
}

/** Infinite where the file is not there, or says `max`. */
async function numberIn(path: string): Promise<number> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return /^\d+\s*$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
}
