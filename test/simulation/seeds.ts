/** Any number: it has only to stay the same. */
const SEED_OF_CONTINUOUS_INTEGRATION = '12';

/**
 * How many stories a simulation tells. Each run of the tests tells others; one that fails prints its seed and its path.
 * SIMULATION_SEED tells the same once more, SIMULATION_RUNS multiplies how many. In continuous integration the stories are
 * the same each time: what it finds is then the fault of the change.
 */
export function simulation(numRuns: number): { readonly numRuns: number; readonly seed?: number; readonly path?: string } {
  const { CI, SIMULATION_SEED, SIMULATION_PATH, SIMULATION_RUNS } = process.env;
  const seed = SIMULATION_SEED ?? (CI === undefined ? undefined : SEED_OF_CONTINUOUS_INTEGRATION);
  return {
    numRuns: Math.ceil(numRuns * Number(SIMULATION_RUNS ?? 1)),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
    ...(SIMULATION_PATH === undefined ? {} : { path: SIMULATION_PATH }),
  };
}
