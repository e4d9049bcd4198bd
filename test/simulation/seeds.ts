/**
 * How many stories a simulation tells. Each run of the tests tells others; one that fails prints its seed and its path.
 * SIMULATION_SEED tells the same once more, SIMULATION_RUNS multiplies how many.
 */
export function simulation(numRuns: number): { readonly numRuns: number; readonly seed?: number; readonly path?: string } {
  const { SIMULATION_SEED, SIMULATION_PATH, SIMULATION_RUNS } = process.env;
  return {
    numRuns: Math.ceil(numRuns * Number(SIMULATION_RUNS ?? 1)),
    ...(SIMULATION_SEED === undefined ? {} : { seed: Number(SIMULATION_SEED) }),
    ...(SIMULATION_PATH === undefined ? {} : { path: SIMULATION_PATH }),
  };
}
