import type { OperationContext } from '../../ports/operation.ts';
import type { ProcessResult, ProcessRunner } from '../../ports/process-runner.ts';
import { configurationText } from './configuration.ts';
import { translateFailure } from './errors.ts';
import { readProgress } from './output.ts';
import type { PgbackrestSettings } from './settings.ts';

const READ_TIMEOUT_MS = 5 * 60_000;
const WRITE_TIMEOUT_MS = 48 * 60 * 60_000;
const STALL_MS = 15 * 60_000;
const MOST_LISTING_BYTES = 512 * 1024 * 1024;

export interface CommandParts {
  readonly settings: PgbackrestSettings;
  readonly runner: ProcessRunner;
}

/** Runs a command that only reads, with the configuration on standard input. Throws what it failed of. */
export async function runReading({ settings, runner }: CommandParts, argv: readonly string[], context: OperationContext): Promise<string> {
  const result = await runner.run({
    file: settings.command,
    argv,
    input: configurationText(settings),
    signal: context.signal,
    timeoutMs: context.timeoutMs ?? READ_TIMEOUT_MS,
    maxStdoutBytes: MOST_LISTING_BYTES,
    ...asUser(settings),
  });
  return checkedOutput(argv, result);
}

/** Runs a command that works, with its progress. Throws what it failed of. */
export async function runWorking({ settings, runner }: CommandParts, argv: readonly string[], context: OperationContext): Promise<string> {
  const result = await runner.run({
    file: settings.command,
    argv,
    signal: context.signal,
    timeoutMs: context.timeoutMs ?? WRITE_TIMEOUT_MS,
    stallMs: STALL_MS,
    onLine: (line) => {
      const progress = readProgress(line);
      if (progress !== undefined) context.onProgress?.(progress);
    },
    ...asUser(settings),
  });
  return checkedOutput(argv, result);
}

function asUser({ user }: PgbackrestSettings) {
  return user === undefined ? {} : { user: { uid: user.uid, gid: user.gid } };
}

function checkedOutput(argv: readonly string[], { exitCode, stdout, stderrTail }: ProcessResult): string {
  if (exitCode === 0) return stdout;
  const command = argv.find((word) => !word.startsWith('-')) ?? '';
  throw translateFailure({ command, exitCode, output: `${stdout.slice(-8192)}\n${stderrTail}` });
}
