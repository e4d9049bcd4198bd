import { SpokeError } from '../errors.ts';
import type { Output } from './output.ts';
import type { ChangingOptions } from './command-context.ts';

/**
 * Has the operator type the cluster's name: given with --confirm, or at a prompt on a terminal.
 * Throws CONFIRMATION_REQUIRED where neither is there or the name is another.
 */
export async function requireConfirmation(
  what: string,
  cluster: string,
  options: ChangingOptions,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  if (options.confirm !== undefined) {
    if (options.confirm === cluster) return;
    throw new SpokeError('CONFIRMATION_REQUIRED', `--confirm ${options.confirm} does not name the cluster, which is "${cluster}"`);
  }
  if (!process.stdin.isTTY || !process.stderr.isTTY || output.json)
    throw new SpokeError('CONFIRMATION_REQUIRED', `${what} needs a confirmation`, {
      hint: `Read the plan, then repeat the command with --confirm ${cluster}`,
    });
  const { createInterface } = await import('node:readline/promises');
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const typed = await prompt.question(`${what}. Type the name of the cluster (${cluster}) to go on: `, { signal });
    if (typed.trim() !== cluster) throw new SpokeError('CONFIRMATION_REQUIRED', 'that is not its name: nothing was done');
  } catch (thrown) {
    throw isAbort(thrown) ? declined(signal) : thrown;
  } finally {
    prompt.close();
  }
}

/** Ctrl-C and Ctrl-D do not arrive as signals while a line is read. */
function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === 'AbortError';
}

function declined(signal: AbortSignal): SpokeError {
  if (signal.reason instanceof SpokeError) return signal.reason;
  return new SpokeError('CANCELLED', 'nothing was confirmed, and nothing was done', { hint: 'Repeat the command to be asked again.' });
}
