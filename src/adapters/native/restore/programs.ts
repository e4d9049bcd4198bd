import { join } from 'node:path';
import { SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { ProcessRequest, ProcessResult } from '../../../ports/process-runner.ts';
import { asUser, type NativeParts } from '../parts.ts';

const LONGEST_MS = 48 * 60 * 60_000;
/** strerror(ENOSPC) and strerror(EDQUOT), which every program prints; and what tar says of the write that took the last of the space. */
const FULL = /No space left on device|Disk quota exceeded|Wrote only \d+ of \d+ bytes/;

/** Long enough for a program to end that was told to when we were killed. */
const STALE_WRITER_SECONDS = 60;

export interface Program extends Pick<ProcessRequest, 'file' | 'argv' | 'inputStream'> {
  /** Held as long as it lives: see untilNobodyWrites. */
  readonly lockFile: string;
}

/** As `program`, holding its lock file, which is made where there is none. */
export function holdingLock({ file, argv, lockFile, ...rest }: Program): Omit<Program, 'lockFile'> {
  return { ...rest, file: 'flock', argv: ['--shared', '--no-fork', lockFile, file, ...argv] };
}

/**
 * Waits for programs that hold the lock file. Those of a process of ours that was killed are ended by the kernel, but not before that process is
 * gone: until then they would write into what is written anew. Throws TIMED_OUT.
 */
export async function untilNobodyWrites(
  parts: Pick<NativeParts, 'runner' | 'settings'>,
  lockFile: string,
  context: OperationContext,
): Promise<void> {
  const argv = ['--exclusive', '--timeout', String(STALE_WRITER_SECONDS), lockFile, 'true'];
  const { signal, timeoutMs = LONGEST_MS } = context;
  const { exitCode } = await parts.runner.run({ file: 'flock', argv, signal, timeoutMs, ...asUser(parts.settings) });
  if (exitCode !== 0)
    throw new SpokeError('TIMED_OUT', `programs of an earlier restore still hold ${lockFile} after ${STALE_WRITER_SECONDS} s`);
}

/** Runs a program that writes into a data directory, as the owner of that. Resolves whatever its exit code; throws DISK_FULL. */
export async function runAsOwner(
  parts: Pick<NativeParts, 'runner' | 'settings'>,
  program: Program,
  context: OperationContext,
): Promise<ProcessResult> {
  const { signal, timeoutMs = LONGEST_MS } = context;
  const result = await parts.runner.run({ ...holdingLock(program), signal, timeoutMs, ...asUser(parts.settings) });
  const full = result.exitCode === 0 ? undefined : firstLine(`${result.stdout}\n${result.stderrTail}`, FULL);
  if (full !== undefined) throw new SpokeError('DISK_FULL', `a file system is full: ${full}`, { details: { tool: program.file } });
  return result;
}

/** The same of one that must succeed. Throws TOOL_FAILED, too. */
export async function runToSuccess(
  parts: Pick<NativeParts, 'runner' | 'settings'>,
  program: Program,
  context: OperationContext,
): Promise<ProcessResult> {
  const result = await runAsOwner(parts, program, context);
  if (result.exitCode === 0) return result;
  const said = firstLine(result.stderrTail, /\S/) ?? 'it gave no reason';
  throw new SpokeError('TOOL_FAILED', `${program.file} ended with exit code ${result.exitCode}: ${said}`, {
    details: { tool: program.file, stderrTail: result.stderrTail },
  });
}

/** One of PostgreSQL's own programs, of the version that the data directory is of. */
export async function postgresProgram({ settings }: Pick<NativeParts, 'settings'>, name: string, postgresMajor: number): Promise<string> {
  return join(await settings.binDirectoryOf(postgresMajor), name);
}

export function firstLine(text: string, pattern: RegExp): string | undefined {
  return text
    .split('\n')
    .find((line) => pattern.test(line))
    ?.trim();
}
