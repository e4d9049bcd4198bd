import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Tests with servers of their own; on two cores more of them cost others their patience. */
const AT_ONCE = 3;

/**
 * One project a kind of test, in the order in which they run. Unit tests and simulations touch nothing but memory and small
 * temporary files, so they are done first; the others start servers, and wait for them more than they work.
 */
function project(name: string, order: number, options: { parallel: boolean; testTimeoutMs: number }) {
  return {
    extends: true as const,
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      maxWorkers: options.parallel ? availableParallelism() : AT_ONCE,
      testTimeout: options.testTimeoutMs,
      hookTimeout: Math.max(options.testTimeoutMs, 60_000),
      teardownTimeout: 30_000,
      // With real servers, continuous integration gives a test a second try, so that a busy machine does not hold up a change.
      retry: !options.parallel && process.env['CI'] !== undefined ? 1 : 0,
      sequence: { groupOrder: order },
    },
  };
}

export default defineConfig({
  test: {
    // A process for each file: it may set signal handlers, and its children can be told from those of other files.
    pool: 'forks',
    globalSetup: ['./scripts/vitest/global-setup.ts'],
    setupFiles: ['./scripts/vitest/guard-setup.ts'],
    reporters: ['./scripts/vitest/reporter.ts'],
    passWithNoTests: true,
    allowOnly: false,
    projects: [
      project('unit', 1, { parallel: true, testTimeoutMs: 15_000 }),
      project('simulation', 2, { parallel: true, testTimeoutMs: 180_000 }),
      project('contract', 3, { parallel: false, testTimeoutMs: 120_000 }),
      project('integration', 3, { parallel: false, testTimeoutMs: 180_000 }),
      project('e2e', 3, { parallel: false, testTimeoutMs: 300_000 }),
      // Only by npm run test:containers, which gives it a Docker engine.
      ...(process.env['SPOKE_CONTAINERS'] === undefined ? [] : [project('containers', 4, { parallel: false, testTimeoutMs: 180_000 })]),
    ],
  },
});
