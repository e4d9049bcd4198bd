import { join } from 'node:path';
import { SpokeError } from '../../../errors.ts';
import type { OperationContext } from '../../../ports/operation.ts';
import type { ProcessRequest, ProcessResult } from '../../../ports/process-runner.ts';
import { asUser, type NativeParts } from '../parts.ts';

const LONGEST_MS = 48 * 60 * 60_000;
/** strerror(ENOSPC) and strerror(EDQUOT), which every program prints. */
const FULL = /No space left on device|Disk quota exceeded/;

type Program = Pick<ProcessRequest, 'file' | 'argv'> & Partial<Pick<ProcessRequest, 'inputStream' | 'onLine' | 'stallMs'>>;

/** Runs a program that writes into a data directory, as the owner of that. Resolves whatever its exit code; throws DISK_FULL. */
export async function runAsOwner(
  parts: Pick<NativeParts, 'runner' | 'settings'>,
  program: Program,
  context: OperationContext,
): Promise<ProcessResult> {
  const { signal, timeoutMs = LONGEST_MS } = context;
  const result = await parts.runner.run({ ...program, signal, timeoutMs, ...asUser(parts.settings) });
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
