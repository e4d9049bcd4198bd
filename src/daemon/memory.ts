import { setFlagsFromString } from 'node:v8';

/**
 * A daemon waits for most of its life. V8 would let its young generation grow to 32 MiB and more, and keep it, and its
 * optimizing compilers take more memory than all clusters together, for work that takes a thousandth of a core.
 */
export function keepMemorySmall(): void {
  for (const flag of ['--max-semi-space-size=1', '--semi-space-growth-factor=1', '--no-opt', '--no-maglev']) setFlagsFromString(flag);
}
