import { CommanderError } from 'commander';
import { asSpokeError, SpokeError } from '../errors.ts';
import { buildProgram } from './program.ts';
import { Output } from './output.ts';

/** What the whole program shares. */
export interface CliContext {
  readonly signal: AbortSignal;
  readonly version: string;
  /** The folder of the installation: schedules and documentation are in it. */
  readonly root: string;
}

/** A signal for everything that runs, and how a signal of the operating system aborts it. */
export function cancellation(): { readonly signal: AbortSignal; cancel(by: 'SIGINT' | 'SIGTERM'): void } {
  const controller = new AbortController();
  return {
    signal: controller.signal,
    cancel: (by) =>
      controller.abort(by === 'SIGINT' ? new SpokeError('CANCELLED', 'interrupted') : new SpokeError('TERMINATED', 'asked to end')),
  };
}

/** Parses, runs, prints; resolves with the exit code and never throws. */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  const output = new Output({
    json: args.includes('--json'),
    quiet: args.includes('--quiet') || args.includes('-q'),
    verbose: args.includes('--verbose') || args.includes('-v'),
  });
  const program = buildProgram({ ...context, output }, args[0]);
  try {
    await program.parseAsync([...args], { from: 'user' });
    await output.flush();
    return output.exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2;
    const error = asSpokeError(thrown);
    output.error(error);
    await output.flush();
    return error.exitCode;
  }
}
