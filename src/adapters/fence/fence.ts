import { SpokeError } from '../../errors.ts';
import type { FenceControl } from '../../ports/fence.ts';
import type { ProcessRunner } from '../../ports/process-runner.ts';

const DEFAULT_TIMEOUT_MS = 60_000;

/** Runs failover.fenceCommand by its argument vector. */
export function createFenceControl({ runner }: { readonly runner: ProcessRunner }): FenceControl {
  return {
    async fence([file = '', ...argv], { signal, timeoutMs = DEFAULT_TIMEOUT_MS }) {
      const { exitCode, stderrTail } = await runner.run({ file, argv, signal, timeoutMs });
      if (exitCode === 0) return;
      throw new SpokeError('TOOL_FAILED', `${[file, ...argv].join(' ')} ended with exit code ${exitCode}: ${stderrTail.trim()}`, {
        hint: 'Nothing was promoted. Fence that server yourself, then say so: --i-fenced-it <node>',
      });
    },
  };
}
