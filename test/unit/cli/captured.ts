import { afterEach, vi } from 'vitest';

/** What was written to stdout and stderr since the test began. */
export interface Captured {
  stdout: string;
  stderr: string;
}

/** Catches what the program prints; both streams print again after each test. */
export function captureOutput(): Captured {
  const captured: Captured = { stdout: '', stderr: '' };
  afterEach(() => {
    vi.restoreAllMocks();
    captured.stdout = '';
    captured.stderr = '';
  });
  return captured;
}

/** To be called in a test, or before each. */
export function startCapturing(captured: Captured): void {
  for (const name of ['stdout', 'stderr'] as const)
    vi.spyOn(process[name], 'write').mockImplementation((text, ...rest) => {
      captured[name] += String(text);
      const done = rest.at(-1);
      if (typeof done === 'function') done();
      return true;
    });
}
