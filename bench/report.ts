import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Measured } from './compare.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly postgres: string;
  readonly pgbackrest: string;
}

export function describeMachine(versions: Pick<Machine, 'postgres' | 'pgbackrest'>): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    node: process.version,
    ...versions,
  };
}

/** Writes one JSON document and one page for people. */
export function writeResults(directory: string, machine: Machine, results: readonly Measured[]): void {
  mkdirSync(directory, { recursive: true });
  const at = new Date().toISOString();
  writeFileSync(join(directory, 'latest.json'), `${JSON.stringify({ schema: 1, at, machine, results }, null, 2)}\n`);
  writeFileSync(join(directory, 'README.md'), renderResults(at, machine, results));
}

export function renderResults(at: string, machine: Machine, results: readonly Measured[]): string {
  const rows = results.map(
    ({ name, unit, goal, ours, bare, ratio, ratioQuartiles: [low, high], met }) =>
      `| ${name} | ${cell(ours.median, unit)} | ${cell(bare.median, unit)} | **${ratio.toFixed(3)}** (${low.toFixed(3)} … ${high.toFixed(3)}) | ≤ ${goal} | ${met ? 'yes' : '**no**'} | ${ours.seconds.length} |`,
  );
  const what = results.map(({ name, ours, bare, exponent }) => {
    const growth = exponent === undefined ? '' : ` It grows with the size to the power of ${exponent.toFixed(2)}.`;
    return `- **${name}**: ours is ${ours.what}; bare is ${bare.what}.${growth}`;
  });
  return `# Benchmark results

Measured ${at} by \`npm run bench\`, which leaves rows that \`--only\` did not name as an earlier run measured them: pairs in turn, the ratio is the median of the ratios of the pairs (quartiles in brackets). Only ratios mean something: the
machine is shared. ${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}, PostgreSQL ${machine.postgres}, pgBackRest ${machine.pgbackrest}.

| what | ours, median | bare, median | ratio | goal | met | pairs |
|---|---|---|---|---|---|---|
${rows.join('\n')}

${what.join('\n')}
`;
}

function cell(value: number, unit: Measured['unit'] = 's'): string {
  if (unit !== 's') return `${value.toPrecision(3)} ${unit}`;
  return value < 1 ? `${(value * 1000).toFixed(0)} ms` : `${value.toFixed(2)} s`;
}

/** What an earlier run left, so that a part can be measured again. */
export function readResults(directory: string): readonly Measured[] {
  try {
    return (JSON.parse(readFileSync(join(directory, 'latest.json'), 'utf8')) as { results: Measured[] }).results;
  } catch {
    return [];
  }
}
