import { SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { ProcessResult, ProcessRunner } from '../../../ports/process-runner.ts';

/** A stream runs as long as what it is a part of; this only bounds what nobody bounded. */
const LONGEST_MS = 7 * 86_400_000;

/** A program that reads its standard input and writes its standard output. */
export interface Filter {
  readonly file: string;
  readonly argv: readonly string[];
  /** What a run means that ended with another exit code than 0. */
  readonly failure: (result: ProcessResult) => SpokeError;
}

/**
 * What the program makes of `source`, read no faster than it is asked for. Ends only where all of it has come, else it throws: what `source`
 * threw, what `failure` makes of the exit code, TOOL_MISSING, TIMED_OUT, CANCELLED or TOOL_FAILED. Nothing is left running when it is closed early.
 */
export async function* throughProcess(
  runner: ProcessRunner,
  { file, argv, failure }: Filter,
  source: AsyncIterable<Uint8Array>,
  context: OperationContext,
): AsyncGenerator<Uint8Array> {
  const output = Promise.withResolvers<AsyncIterable<Uint8Array>>();
  const release = Promise.withResolvers<void>();
  const stopping = new AbortController();
  const stop = () => stopping.abort(context.signal.reason);
  if (context.signal.aborted) stop();
  context.signal.addEventListener('abort', stop, { once: true });
  const run = runner.run({
    file,
    argv,
    signal: stopping.signal,
    timeoutMs: context.timeoutMs ?? LONGEST_MS,
    inputStream: source,
    async consumeStdout(stdout) {
      output.resolve(stdout);
      await release.promise;
    },
  });
  run.catch(output.reject);
  try {
    yield* await output.promise;
  } catch (thrown) {
    release.resolve();
    const result = await run;
    throw result.exitCode === 0 ? thrown : failure(result);
  } finally {
    context.signal.removeEventListener('abort', stop);
    release.resolve();
    stopping.abort(new SpokeError('CANCELLED', `Nobody reads what ${file} writes any more.`));
    await run.catch(() => undefined);
  }
}
