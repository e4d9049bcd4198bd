import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { execa } from 'execa';
import type { Comparison } from './compare.ts';

interface Taken {
  readonly rssBytes: number;
  readonly cpuSeconds: number;
  readonly looks: number;
}

const IDLE_SECONDS = 15;
/** So that each cluster, which is looked at every minute, is looked at within them. */
const IDLE_SPEED = 4;
const AGED_SPEED = 60;
const GROWTH_SECONDS = 5;
/** Each cluster is looked at every minute: so several hundred times in the seconds that it is watched. */
const GROWTH_SPEED = 600;
/** What a Node process takes that only waits. */
const BARE = `setTimeout(() => console.log(JSON.stringify({ rssBytes: process.memoryUsage.rss() })), 2000)`;

/** The daemon with clusters that exist in memory only: what it takes itself, without what its runs take. */
export async function withDaemonComparisons(use: (comparisons: readonly Comparison[]) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-daemon-'));
  const program = join(directory, 'stub.mjs');
  try {
    await build({
      entryPoints: [join(import.meta.dirname, 'daemon-stub.ts')],
      outfile: program,
      bundle: true,
      format: 'esm',
      platform: 'node',
      logLevel: 'warning',
    });
    await use([memory(program), processor(program), growth(program, 'cpuSeconds'), growth(program, 'rssBytes')]);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function memory(program: string): Comparison {
  return {
    ...{ name: 'daemon-memory', goal: 2, unit: 'MiB' },
    ours: {
      what: 'resident memory of a daemon with 100 clusters (stub executors) after a quarter of an hour by its clock, which goes 60 times as fast',
      run: async () => mebibytes(await taken(program, 100, IDLE_SECONDS, AGED_SPEED)),
    },
    bare: { what: 'that of a Node process that waits', run: async () => mebibytes(await json(process.execPath, ['-e', BARE])) },
  };
}

function processor(program: string): Comparison {
  return {
    ...{ name: 'daemon-idle-cpu', goal: 1, unit: 's' },
    ours: {
      what: `processor time of a daemon with 100 clusters (stub executors) in ${IDLE_SECONDS} s, its clock ${IDLE_SPEED} times as fast, so that each is looked at`,
      run: async () => (await taken(program, 100, IDLE_SECONDS, IDLE_SPEED)).cpuSeconds,
    },
    bare: { what: '1 % of a core for as long', run: () => Promise.resolve(IDLE_SECONDS / 100) },
  };
}

function growth(program: string, what: 'cpuSeconds' | 'rssBytes'): Comparison {
  const perCluster = async (clusters: number) => {
    const measured = await taken(program, clusters, GROWTH_SECONDS, GROWTH_SPEED);
    if (what === 'cpuSeconds') return (measured.cpuSeconds / measured.looks) * 1000;
    return mebibytes(measured) / clusters;
  };
  const name = what === 'cpuSeconds' ? 'daemon-growth-cpu' : 'daemon-growth-memory';
  const label = what === 'cpuSeconds' ? 'processor time for one look at one cluster' : 'resident memory for one cluster';
  return {
    ...{ name, goal: 1.05, unit: what === 'cpuSeconds' ? 'ms' : 'MiB' },
    // 1 is linear growth: the exponent from 100 to 1,000 clusters is 1 + log10 of the ratio.
    exponentOf: (ratio) => 1 + Math.log10(ratio),
    ours: { what: `${label}, of 1,000`, run: () => perCluster(1000) },
    bare: { what: 'the same of 100', run: () => perCluster(100) },
  };
}

function taken(program: string, clusters: number, seconds: number, speed: number): Promise<Taken> {
  return json(process.execPath, [program, String(clusters), String(seconds), String(speed)]) as Promise<Taken>;
}

async function json(file: string, argv: readonly string[]): Promise<{ rssBytes: number }> {
  const { stdout } = await execa(file, [...argv], { stdin: 'ignore' });
  return JSON.parse(stdout) as { rssBytes: number };
}

function mebibytes({ rssBytes }: { rssBytes: number }): number {
  return rssBytes / 1024 ** 2;
}
