import { SpokeError } from '../../errors.ts';
import type { OperationContext } from '../../ports/operation.ts';
import type { ProcessResult, ProcessRunner } from '../../ports/process-runner.ts';
import { configurationText } from './configuration.ts';
import { translateFailure } from './errors.ts';
import { isFileSystemFull } from './free-space.ts';
import { readProgress } from './progress.ts';
import { secretsOf } from './secrets.ts';
import type { PgbackrestSettings, RepositorySettings } from './settings.ts';

const READ_TIMEOUT_MS = 5 * 60_000;
const WRITE_TIMEOUT_MS = 48 * 60 * 60_000;
const STALL_MS = 15 * 60_000;
const MOST_LISTING_BYTES = 512 * 1024 * 1024;
const COMMANDS = /^(?:info|repo-ls|repo-get|verify|stanza-create|check|archive-push|backup|restore|stop|start|expire|annotate)$/;

export interface CommandParts {
  readonly settings: PgbackrestSettings;
  readonly runner: ProcessRunner;
}

/** What one command is about. */
export interface CommandOptions {
  /** The repository that it works on, for what is said when it fails. */
  readonly repository?: RepositorySettings;
  readonly onLine?: (line: string) => void;
}

/** Runs a command that only reads, with the configuration on standard input. Resolves with its stdout; throws what it failed of. */
export async function runReading(
  { settings, runner }: CommandParts,
  argv: readonly string[],
  options: CommandOptions,
  context: OperationContext,
): Promise<string> {
  const result = await runner.run({
    file: settings.command,
    argv,
    input: configurationText(settings),
    readsOnly: true,
    signal: context.signal,
    timeoutMs: context.timeoutMs ?? READ_TIMEOUT_MS,
    maxStdoutBytes: MOST_LISTING_BYTES,
    ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
    ...asUser(settings),
  });
  return checkedOutput(settings, argv, options, result);
}

/** Runs a command that works, with its progress. Resolves with its stdout; throws what it failed of. */
export async function runWorking(
  { settings, runner }: CommandParts,
  argv: readonly string[],
  options: CommandOptions,
  context: OperationContext,
): Promise<string> {
  const result = await runner.run({
    file: settings.command,
    argv,
    signal: context.signal,
    timeoutMs: context.timeoutMs ?? WRITE_TIMEOUT_MS,
    stallMs: STALL_MS,
    onLine: (line) => {
      options.onLine?.(line);
      const progress = readProgress(line);
      if (progress !== undefined) context.onProgress?.(progress);
    },
    ...asUser(settings),
  });
  return checkedOutput(settings, argv, options, result);
}

export function asUser({ user }: PgbackrestSettings) {
  return user === undefined ? {} : { user: { uid: user.uid, gid: user.gid } };
}

async function checkedOutput(
  settings: PgbackrestSettings,
  argv: readonly string[],
  { repository }: CommandOptions,
  { exitCode, stdout, stderrTail }: ProcessResult,
): Promise<string> {
  if (exitCode === 0) return stdout;
  const command = argv.find((word) => COMMANDS.test(word)) ?? '';
  const output = `${stdout.slice(-8192)}\n${stderrTail}`;
  throw await refined(translateFailure({ command, exitCode, output, repository, secrets: secretsOf(settings) }));
}

/** pgBackRest says that it cannot write, not why: a full file system it leaves to us to find out. */
async function refined(error: SpokeError): Promise<SpokeError> {
  const path = error.code === 'FILE_SYSTEM_FAILED' ? /'(\/[^']+)'/.exec(error.message)?.[1] : undefined;
  if (path === undefined || !(await isFileSystemFull(path))) return error;
  return new SpokeError('DISK_FULL', `${error.message} (no space left there)`, { details: { ...error.details, path }, cause: error });
}
