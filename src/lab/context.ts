import { setTimeout as delay } from 'node:timers/promises';
import { SpokeError } from '../errors.ts';
import type { ProcessResult, ProcessRequest, ProcessRunner } from '../ports/process-runner.ts';

/** What everything in the lab works with. */
export interface LabContext {
  readonly processes: ProcessRunner;
  readonly signal: AbortSignal;
  /** One line of progress or a notice, for people. */
  readonly report: (line: string) => void;
  /** The variables that say where caches are, which proxy and which S3 server to use; our own where not given. */
  readonly environment?: Environment;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export function environmentOf(context: Pick<LabContext, 'environment'>): Environment {
  return context.environment ?? process.env;
}

/** Throws CANCELLED, or the signal's reason where that is an error of ours. */
export function throwIfCancelled(signal: AbortSignal): void {
  if (!signal.aborted) return;
  if (signal.reason instanceof SpokeError) throw signal.reason;
  throw new SpokeError('CANCELLED', 'The lab was cancelled.', { hint: 'spoke-backup lab up', cause: signal.reason });
}

type ToolRequest = Omit<ProcessRequest, 'signal' | 'timeoutMs'> & { readonly timeoutMs?: number };

const TOOL_TIMEOUT_MS = 120_000;

/** Runs a tool to its end; throws TOOL_FAILED with the end of its output where the exit code is not 0. */
export async function runTool(context: LabContext, request: ToolRequest): Promise<ProcessResult> {
  const result = await context.processes.run({ timeoutMs: TOOL_TIMEOUT_MS, ...request, signal: context.signal });
  if (result.exitCode === 0) return result;
  const output = `${result.stdout.slice(-2000)}\n${result.stderrTail.slice(-2000)}`.trim();
  throw new SpokeError('TOOL_FAILED', `${request.file} ${request.argv[0] ?? ''} ended with exit code ${result.exitCode}:\n${output}`, {
    details: { file: request.file, argv: request.argv, exitCode: result.exitCode },
  });
}

const POLL_MS = 25;

/** Resolves with the first value of `probe` that is not undefined; throws TIMED_OUT, CANCELLED when the signal aborts. */
export async function waitUntil<T>(
  what: string,
  timeoutMs: number,
  signal: AbortSignal,
  probe: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    throwIfCancelled(signal);
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new SpokeError('TIMED_OUT', `Waited ${Math.round(timeoutMs / 1000)} s in vain until ${what}.`);
    await delay(POLL_MS);
  }
}
