import { setFlagsFromString } from 'node:v8';

/** A daemon waits for most of its life. V8 would let its young generation grow to 32 MiB and more, and keep it. */
export function keepMemorySmall(): void {
  setFlagsFromString('--max-semi-space-size=1');
  setFlagsFromString('--semi-space-growth-factor=1');
}
