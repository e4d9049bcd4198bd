/** What is compared where it is not time in seconds. */
export type Unit = 's' | 'MiB' | 'ms';

/** Two ways to do the same, run in turn. Each resolves with its seconds, or whatever `unit` says. */
export interface Comparison {
  readonly name: string;
  readonly unit?: Unit;
  /** Where the pairs are of two sizes: with which power of the size it grows. */
  readonly exponentOf?: (ratio: number) => number;
  /** What the ratio must not exceed. */
  readonly goal: number;
  readonly ours: { readonly what: string; run(repetition: number): Promise<number> };
  readonly bare: { readonly what: string; run(repetition: number): Promise<number> };
}

export interface Measured {
  readonly name: string;
  readonly unit?: Unit;
  readonly exponent?: number;
  readonly goal: number;
  readonly ours: Sample;
  readonly bare: Sample;
  /** Median of the ratios of the pairs. */
  readonly ratio: number;
  readonly ratioQuartiles: readonly [number, number];
  readonly met: boolean;
}

export interface Sample {
  readonly what: string;
  readonly seconds: readonly number[];
  readonly median: number;
  readonly quartiles: readonly [number, number];
}

/** Interleaved, and who goes first changes with each pair, so that drift and caches favour nobody. */
export async function compare(comparison: Comparison, repetitions: number, report: (line: string) => void): Promise<Measured> {
  const ours: number[] = [];
  const bare: number[] = [];
  const { unit = 's' } = comparison;
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    const first = repetition % 2 === 0 ? 'bare' : 'ours';
    for (const side of [first, first === 'bare' ? 'ours' : 'bare'] as const)
      (side === 'ours' ? ours : bare).push(await comparison[side].run(repetition));
    report(
      `${comparison.name} ${repetition + 1}/${repetitions}: bare ${bare.at(-1)?.toFixed(3)} ${unit}, ours ${ours.at(-1)?.toFixed(3)} ${unit}`,
    );
  }
  const ratios = ours.map((seconds, index) => seconds / (bare[index] ?? Number.NaN));
  const ratio = quantile(ratios, 0.5);
  return {
    name: comparison.name,
    ...(comparison.unit === undefined ? {} : { unit: comparison.unit }),
    ...(comparison.exponentOf === undefined ? {} : { exponent: comparison.exponentOf(ratio) }),
    goal: comparison.goal,
    ours: sampleOf(comparison.ours.what, ours),
    bare: sampleOf(comparison.bare.what, bare),
    ratio,
    ratioQuartiles: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
    met: ratio <= comparison.goal,
  };
}

function sampleOf(what: string, seconds: readonly number[]): Sample {
  return { what, seconds, median: quantile(seconds, 0.5), quartiles: [quantile(seconds, 0.25), quantile(seconds, 0.75)] };
}

/** Linear between the two nearest. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * q;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
