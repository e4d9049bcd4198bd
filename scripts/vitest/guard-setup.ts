import { configureGlobal } from 'fast-check';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { killAll, mountsBelow, processesLeftBelow, TEST_ROOT_VARIABLE, unmountAll } from './test-root.ts';

// In continuous integration the same cases each time: what it finds is then the fault of the change.
if (process.env['CI'] !== undefined) configureGlobal({ seed: 20_261_122 });

/**
 * Runs in each test file before its tests: gives it a temporary directory and, when its tests and their clean-up are done,
 * fails it for what it left behind: processes, files, warnings.
 */
const PATIENCE_MS = 3_000;

const root = process.env[TEST_ROOT_VARIABLE];
if (root === undefined) throw new Error(`${TEST_ROOT_VARIABLE} is not set: start the tests through vitest.config.ts`);
const directory = mkdtempSync(join(root, 'f'));
chmodSync(directory, 0o1777);
process.env['TMPDIR'] = directory;
process.env['PATH'] = `${directory}/no-programs-here:${process.env['PATH'] ?? ''}`;

const warnings: string[] = [];
process.on('warning', (warning) => warnings.push(`${warning.name}: ${warning.message}`));

afterAll(async () => {
  const processes = await processesLeftBelow(directory, PATIENCE_MS);
  killAll(processes);
  const mounts = mountsBelow(directory);
  unmountAll(mounts);
  const files = readdirSync(directory).filter((name) => name !== 'node-compile-cache');
  rmSync(directory, { recursive: true, force: true });
  const faults = [
    ...processes.map(({ pid, command }) => `process ${pid} was left running: ${command}`),
    ...mounts.map((point) => `left mounted: ${point}`),
    ...files.map((name) => `left in the temporary directory: ${name}`),
    ...warnings.map((warning) => `unexpected warning: ${warning}`),
  ];
  if (faults.length > 0) throw new Error(`This test file left things behind:\n  ${faults.join('\n  ')}`);
}, 30_000);
